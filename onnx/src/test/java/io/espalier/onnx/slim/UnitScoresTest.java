package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;

@DisplayName("Units chosen by scores")
class UnitScoresTest {
    private static final int UNITS = 8;
    private static final Inputs INPUTS = Inputs.random().size("N", 8).batch(8).limit(32);

    /** Numbers from 1 on, so that what is left of them says which units are. */
    private static float[] numbers() {
        var numbers = new float[UNITS];
        for (int i = 0; i < UNITS; i++) {
            numbers[i] = 1 + i;
        }
        return numbers;
    }

    /** The units of the vectors of numbers that are left. */
    private static Set<Integer> left(SlimResult result) {
        var left = new TreeSet<Integer>();
        result.model().graph().constants().values().stream()
                .filter(constant -> constant.shape().equals(List.of(UNITS / 2L)))
                .forEach(constant -> {
                    for (float number : constant.toFloats()) {
                        left.add(Math.round(number) - 1);
                    }
                });
        return left;
    }

    /** Of models whose first group has the units in question. */
    private static SlimResult half(OnnxModel model, Importance by) {
        return OnnxSlimmer.of(model).only("w1*").ratio(0.5).importance(by).run();
    }

    /** Rows or columns of normally distributed numbers, each times a factor of its own. */
    private static ConstantTensor scaled(long rows, long columns, boolean byRow, float... factors) {
        var random = new Random(4);
        var values = new float[(int) (rows * columns)];
        for (int i = 0; i < values.length; i++) {
            int at = (int) (byRow ? i / columns : i % columns);
            values[i] = (float) random.nextGaussian() * factors[at];
        }
        return ConstantTensor.floats(List.of(rows, columns), values);
    }

    @Test
    @DisplayName("go where their normalization's scale is small, though it is folded away")
    void goByScale() {
        float[] scales = {-8, 7, -6, 5, 0.04f, 0.03f, 0.02f, 0.01f};
        // Once folded, the weights of the units of small scales are the larger ones.
        float[] factors = {0.01f, 0.01f, 0.01f, 0.01f, 1000, 1000, 1000, 1000};
        ConstantTensor w1 = scaled(UNITS, 3, true, factors);
        var zeros = new float[UNITS];
        var ones = new float[UNITS];
        Arrays.fill(ones, 1);
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 4, 4]")
                        .constant(
                                "w1", ConstantTensor.floats(List.of(8L, 3L, 1L, 1L), w1.toFloats()))
                        .node("c = Conv(x, w1)")
                        .floats("scale", scales)
                        .floats("shift", numbers())
                        .floats("mean", zeros)
                        .floats("variance", ones)
                        .node(
                                "n = BatchNormalization(c, scale, shift, mean, variance)",
                                node -> node.with("epsilon", 0f))
                        .node("r = Relu(n)")
                        .constant("w2", ConstantTensor.floats(List.of(1L, 8L, 1L, 1L), ones))
                        .node("y = Conv(r, w2)")
                        .output("y")
                        .build();

        SlimResult result = half(model, Importance.batchNormScale());

        assertEquals(0, count(OnnxSlimmer.of(model).model(), "BatchNormalization"));
        assertEquals("batch-norm scale", result.rows().getFirst().by());
        assertEquals(Set.of(0, 1, 2, 3), left(result));
        assertEquals(Set.of(4, 5, 6, 7), left(half(model, Importance.magnitude())));
    }

    private static long count(OnnxModel model, String operator) {
        return model.graph().nodes().stream().filter(node -> node.is(operator)).count();
    }

    /**
     * The first units have large weights to results that the last layer makes nearly nothing of,
     * the others small ones to the first result.
     *
     * @param hidden what the last layer makes of the results that the first units make
     */
    private static OnnxModel twoWays(float hidden) {
        var w2 = new float[UNITS * 4];
        for (int unit = 0; unit < UNITS; unit++) {
            w2[unit * 4] = unit < 4 ? 1e-3f : 0.3f + 0.1f * unit;
            for (int result = 1; result < 4; result++) {
                w2[unit * 4 + result] = unit < 4 ? 5 + unit : 1e-3f;
            }
        }
        var w3 = new float[16];
        for (int i = 0; i < 4; i++) {
            w3[i * 5] = i == 0 ? 1 : hidden;
        }
        return TestGraphs.opset(17)
                .input("x: Float[N, 6]")
                .weight("w1", 6, UNITS)
                .floats("b1", numbers())
                .node("h = Gemm(x, w1, b1)")
                .node("r = Tanh(h)")
                .constant("w2", ConstantTensor.floats(List.of((long) UNITS, 4L), w2))
                .node("m = MatMul(r, w2)")
                .node("s = Sigmoid(m)")
                .constant("w3", ConstantTensor.floats(List.of(4L, 4L), w3))
                .node("z = MatMul(s, w3)")
                .node("y = Concat(z, x)", n -> n.with("axis", 1))
                .output("y")
                .build();
    }

    @Test
    @DisplayName("go where results lose little to first order, however large their weights are")
    void goByResults() {
        SlimResult result = half(twoWays(1e-4f), Importance.gradient(INPUTS));

        assertEquals("gradient", result.rows().getFirst().by());
        assertEquals(Set.of(4, 5, 6, 7), left(result));
        assertEquals(Set.of(0, 1, 2, 3), left(half(twoWays(1e-4f), Importance.magnitude())));
    }

    @Test
    @DisplayName("go where a loss of one's own changes little")
    void goByLoss() {
        Importance first =
                Importance.gradient(
                        INPUTS, (results, labels) -> column(results.firstEntry().getValue(), 0));
        Importance others =
                Importance.gradient(
                        INPUTS, (results, labels) -> column(results.firstEntry().getValue(), 2));

        assertEquals(Set.of(4, 5, 6, 7), left(half(twoWays(1), first)));
        assertEquals(Set.of(0, 1, 2, 3), left(half(twoWays(1), others)));
    }

    private static Tensor column(Tensor result, long column) {
        return result.select(1, column).sum();
    }

    @ParameterizedTest
    @CsvSource({"macs", "speedup", "max-drop"})
    @DisplayName("serve targets too, as what they lose is known")
    void serveTargets(String target) {
        OnnxSlimmer slimmer = OnnxSlimmer.of(twoWays(1));
        Slimming slimming =
                switch (target) {
                    case "macs" -> slimmer.macs(0.6);
                    case "speedup" -> slimmer.speedup(1);
                    default -> slimmer.maxDrop(0.01);
                };

        SlimResult result = slimming.importance(Importance.gradient(INPUTS)).run();

        assertTrue(result.rows().getFirst().spent().orElseThrow().error() >= 0);
    }

    @ParameterizedTest
    @CsvSource({"4, false", "3, false", "4, true"})
    @DisplayName(
            "go by gradients too where inputs have no examples in common, and beside one that says"
                    + " which is largest")
    void twoInputs(int rows, boolean hard) {
        TestGraphs graph =
                TestGraphs.opset(17)
                        .input("x: Float[4, 6]")
                        .input("z: Float[%d, 6]".formatted(rows))
                        .weight("w1", 6, UNITS)
                        .weight("w2", UNITS, 5)
                        .weight("w3", 6, 5)
                        .node("h = MatMul(x, w1)")
                        .node("r = Relu(h)")
                        .node("a = MatMul(r, w2)")
                        .node("b = MatMul(z, w3)")
                        .node("t = Transpose(b)", n -> n.with("perm", List.of(1L, 0L)))
                        .node("y = MatMul(a, t)")
                        .output("y");
        OnnxModel model = hard ? graph.node("q = Hardmax(a)").output("q").build() : graph.build();
        Inputs inputs = Inputs.random().limit(4);

        SlimResult result = half(model, Importance.gradient(inputs));

        assertEquals("gradient", result.rows().getFirst().by());
    }

    @Test
    @DisplayName("need labels where they go by those, and a model that libtorch can run")
    void refuse() {
        var unlabelled =
                OnnxSlimmer.of(twoWays(1))
                        .ratio(0.5)
                        .importance(Importance.gradient(INPUTS, Task.classes()));
        var error = assertThrows(EspalierException.class, unlabelled::run);
        assertEquals("The inputs have no labels, and the loss is of those.", error.getMessage());

        OnnxModel unknown =
                TestGraphs.opset(17)
                        .input("x: Float[N, 6]")
                        .weight("w1", 6, UNITS)
                        .node("h = MatMul(x, w1)")
                        .node("r = Relu(h)")
                        .weight("w2", UNITS, 4)
                        .node("m = MatMul(r, w2)")
                        .node("y = Det(m)")
                        .output("y")
                        .build();
        var slimming = OnnxSlimmer.of(unknown).ratio(0.5).importance(Importance.gradient(INPUTS));
        String words =
                String.valueOf(assertThrows(EspalierException.class, slimming::run).getMessage());
        assertTrue(words.startsWith("Gradients need a model that libtorch can run."), words);
        assertTrue(words.contains("Det"), words);
    }
}
