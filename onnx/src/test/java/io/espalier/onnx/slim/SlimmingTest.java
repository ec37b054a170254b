package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;

@DisplayName("A share of the channels taken out")
class SlimmingTest {
    private static final Inputs CALIBRATION =
            Inputs.random().size("N", 8).size("L", 6).batch(8).limit(128);
    private static final Inputs OTHERS = CALIBRATION.shuffled(7);

    /** A weight whose outputs come in twos, one a multiple of the other. */
    static ConstantTensor twins(boolean outputsFirst, int outputs, int inputs) {
        var random = new Random(3);
        var values = new float[outputs * inputs];
        for (int o = 0; o < outputs; o++) {
            for (int i = 0; i < inputs; i++) {
                int at = outputsFirst ? o * inputs + i : i * outputs + o;
                int twin = outputsFirst ? (o - 1) * inputs + i : i * outputs + o - 1;
                values[at] = o % 2 == 1 ? 2 * values[twin] : (float) random.nextGaussian();
            }
        }
        long rows = outputsFirst ? outputs : inputs;
        long columns = outputsFirst ? inputs : outputs;
        return ConstantTensor.floats(
                outputsFirst ? List.of(rows, columns, 1L, 1L) : List.of(rows, columns), values);
    }

    /** Graphs of which half of the channels say nothing that the others don't. */
    @SuppressWarnings("ImmutableEnumChecker") // Slimmers leave the models that they are given.
    enum Redundant {
        NEURONS(
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 6]")
                        .constant("w1", twins(false, 16, 6))
                        .node("h = MatMul(x, w1)")
                        .node("r = Relu(h)")
                        .weight("w2", 16, 5)
                        .weight("b2", 5)
                        .node("p = MatMul(r, w2)")
                        .node("y = Add(p, b2)")
                        .output("y")),
        DEPTHWISE(
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 9, 9]")
                        .constant("w1", twins(true, 12, 3))
                        .node("c = Conv(x, w1)")
                        .node("r = Relu(c)")
                        .floats("f", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
                        .integers("shape", 12, 1, 1, 1)
                        .node("w2 = Reshape(f, shape)")
                        .node("d = Conv(r, w2)", n -> n.with("group", 12))
                        .weight("w3", 4, 12, 3, 3)
                        .node("y = Conv(d, w3)", n -> n.with("pads", List.of(1L, 1L, 1L, 1L)))
                        .output("y")),
        TWO_READERS(
                TestGraphs.opset(17)
                        .input("x: Float[N, 6]")
                        .constant("w1", twins(false, 16, 6))
                        .node("h = MatMul(x, w1)")
                        .node("r = Relu(h)")
                        .weight("w2", 5, 16)
                        .weight("b2", 5)
                        .node("p = Gemm(r, w2, b2)", n -> n.with("transB", 1).with("alpha", 0.5f))
                        .node("s = Sigmoid(p)")
                        .weight("w3", 16, 5)
                        .node("q = MatMul(r, w3)")
                        .node("y = Add(s, q)")
                        .output("y"));

        private final OnnxModel model;

        Redundant(TestGraphs graph) {
            model = graph.build();
        }
    }

    private static double drop(OnnxModel model, SlimResult result) {
        return result.measure(model, OTHERS).drop();
    }

    private static SlimResult half(OnnxModel model, Importance importance) {
        return OnnxSlimmer.of(model).ratio(0.5).importance(importance).run();
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("costs nothing by second order where what stays can make up for what goes")
    void makesUp(Redundant graph) {
        SlimResult solved = half(graph.model, Importance.secondOrder(CALIBRATION));

        assertEquals(1, solved.rows().size());
        Row row = solved.rows().getFirst();
        assertEquals(row.group().units().size() / 2, row.left());
        assertEquals("second order", row.by());
        assertEquals(0, drop(graph.model, solved), 2e-4);
        assertTrue(drop(graph.model, half(graph.model, Importance.activation(CALIBRATION))) > 2e-2);
    }

    @Test
    @DisplayName("gives a convolution a bias for what goes, and leaves others without one")
    void addsBiases() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 9, 9]")
                        .weight("w1", 8, 3, 1, 1)
                        .floats("b1", 9, 0, 9, 0, 9, 0, 9, 0)
                        .node("c = Conv(x, w1, b1)")
                        .node("s = Sigmoid(c)")
                        .weight("w2", 4, 8, 1, 1)
                        .node("d = Conv(s, w2)")
                        .node("m = MaxPool(d)", n -> n.with("kernel_shape", List.of(3L, 3L)))
                        .weight("w3", 2, 4, 1, 1)
                        .node("y = Conv(m, w3)")
                        .output("y")
                        .build();

        OnnxModel slim =
                OnnxSlimmer.of(model)
                        .only("w1")
                        .ratio(0.5)
                        .importance(Importance.secondOrder(CALIBRATION))
                        .run()
                        .model();

        List<OnnxNode> layers = slim.graph().nodes().stream().filter(n -> n.is("Conv")).toList();
        assertEquals(3, layers.get(1).inputs().size());
        assertEquals(2, layers.get(2).inputs().size());
    }

    @Test
    @DisplayName("takes only what the layers named make")
    void takesOnly() {
        var slimmer = OnnxSlimmer.of(chain());

        assertEquals(List.of(4, 4), left(slimmer.ratio(0.5).run()));
        assertEquals(List.of(8, 4), left(slimmer.only("w2").ratio(0.5).run()));
        assertEquals(List.of(8, 4), left(slimmer.keep("w1").ratio(0.5).run()));
        assertThrows(EspalierException.class, () -> slimmer.keep("w2").ratio(0.5).run());
    }

    private static OnnxModel chain() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 6]")
                .weight("w1", 6, 8)
                .node("h = MatMul(x, w1)")
                .node("r = Relu(h)")
                .weight("w2", 8, 8)
                .node("i = MatMul(r, w2)")
                .node("s = Relu(i)")
                .weight("w3", 8, 3)
                .node("y = MatMul(s, w3)")
                .output("y")
                .build();
    }

    private static List<Integer> left(SlimResult result) {
        return result.rows().stream().map(Row::left).toList();
    }

    @Test
    @DisplayName("is chosen by an importance of one's own")
    void takesOwnImportance() {
        // The share of a unit's weights that are positive.
        Importance mine =
                Importance.of((group, model) ->
                        group.units().stream()
                                .mapToDouble(unit ->
                                        unit.slices().entrySet().stream()
                                                .filter(slice ->
                                                        slice.getKey().constant().equals("w1"))
                                                .mapToDouble(slice ->
                                                        positive(model, slice.getValue()[0]))
                                                .sum())
                                .toArray());
        OnnxModel model = chain();

        OnnxModel slim = OnnxSlimmer.of(model).only("w1").ratio(0.5).importance(mine).run().model();

        double[] all = new double[8];
        Arrays.setAll(all, column -> positive(model, column));
        double[] found = new double[4];
        Arrays.setAll(found, column -> positive(slim, column));
        Arrays.sort(all);
        Arrays.sort(found);
        assertArrayEquals(Arrays.copyOfRange(all, 4, 8), found);
    }

    private static double positive(OnnxModel model, int column) {
        ConstantTensor weight = Objects.requireNonNull(model.graph().constant("w1"));
        float[] values = weight.toFloats();
        int columns = Math.toIntExact(weight.shape().get(1));
        double count = 0;
        for (int i = column; i < values.length; i += columns) {
            count += values[i] > 0 ? 1 : 0;
        }
        return count;
    }

    @Test
    @DisplayName("refuses scores that are not one finite number for each unit")
    void refusesOtherScores() {
        var slimming =
                OnnxSlimmer.of(chain())
                        .ratio(0.5)
                        .importance(Importance.of((group, model) -> new double[3]));

        var error = assertThrows(EspalierException.class, slimming::run);

        assertEquals(
                "Group w1[1] has 8 units and got 3 scores; give one for each.", error.getMessage());
        double[] noNumbers = {1, 2, 3, 4, 5, 6, 7, Double.NaN};
        var other = slimming.importance(Importance.of((group, model) -> noNumbers));
        assertEquals(
                "Unit 7 of group w1[1] got the score NaN; scores are finite numbers, and so must be"
                        + " the weights that they come from.",
                assertThrows(EspalierException.class, other::run).getMessage());
    }

    @Test
    @DisplayName("is the same by the same seed, and another by another")
    void repeats() {
        OnnxModel model = chain();
        byte[] first = half(model, Importance.random(1)).model().toProto().toByteArray();

        assertArrayEquals(first, half(model, Importance.random(1)).model().toProto().toByteArray());
        assertFalse(
                Arrays.equals(
                        first, half(model, Importance.random(2)).model().toProto().toByteArray()));
    }

    @Test
    @DisplayName("leaves the model that came in as it was, and has less to do")
    void leavesOriginal() {
        OnnxModel model = Redundant.NEURONS.model;
        byte[] before = model.toProto().toByteArray();

        SlimResult result = half(model, Importance.secondOrder(CALIBRATION));

        assertArrayEquals(before, model.toProto().toByteArray());
        assertTrue(ModelCost.of(result.model()).macs() <= ModelCost.of(model).macs() / 2);
    }

    @Test
    @DisplayName("goes by the weights before a recurrent layer, whose inputs can't be weighed")
    void beforeRecurrent() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[L, N, 6]")
                        .weight("w1", 6, 16)
                        .weight("w", 1, 32, 16)
                        .weight("r", 1, 32, 8)
                        .node("h = MatMul(x, w1)")
                        .node("a = Relu(h)")
                        .node("y, last = LSTM(a, w, r)", n -> n.with("hidden_size", 8))
                        .output("y")
                        .build();

        SlimResult result =
                OnnxSlimmer.of(model)
                        .ratio(0.5)
                        .importance(Importance.secondOrder(CALIBRATION))
                        .run();

        assertEquals(List.of(8), result.rows().stream().map(SlimResult.Row::left).toList());
    }
}
