package io.espalier.onnx.tune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.tune.PrunedModel.Layer;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("A pruner of ONNX models")
class OnnxPrunerTest {
    /** A convolution, a product with a matrix behind a node, and a Gemm. */
    private static OnnxModel network() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 4, 6, 6]")
                .weight("conv.weight", 8, 4, 3, 3)
                .weight("conv.bias", 8)
                .weight("head", 8, 16)
                .weight("gemm", 16, 5)
                .node("c = Conv(x, conv.weight, conv.bias)")
                .node("p = GlobalAveragePool(c)")
                .node("f = Flatten(p)")
                .node("m = Constant()", node -> node.with("value", hidden(16, 8)))
                .node("t = Transpose(m)", node -> node.with("perm", List.of(1L, 0L)))
                .node("i = Identity(t)")
                .node("h = MatMul(f, i)")
                .node("s = Add(h, head_bias)")
                .constant("head_bias", ConstantTensor.floats(List.of(16L), new float[16]))
                .node("y = Gemm(s, gemm)")
                .output("y")
                .build();
    }

    private static ConstantTensor hidden(int rows, int columns) {
        var values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (i % 7 - 3) + i / 1000f;
        }
        return ConstantTensor.floats(List.of((long) rows, (long) columns), values);
    }

    private static float[] constant(OnnxModel model, String name) {
        return Objects.requireNonNull(model.graph().constant(name)).toFloats();
    }

    private static float[] hidden(OnnxModel model) {
        OnnxNode node = Objects.requireNonNull(model.graph().producer("m"));
        return Objects.requireNonNull(node.tensor("value")).toFloats();
    }

    private static long zeros(float... values) {
        long zeros = 0;
        for (float value : values) {
            zeros += value == 0 ? 1 : 0;
        }
        return zeros;
    }

    @Test
    @DisplayName("puts zeros where each layer's weights are smallest, and changes nothing else")
    void smallest() {
        OnnxModel model = network();

        PrunedModel pruned = OnnxPruner.l1(0.25).perLayer().prune(model);

        float[] before = constant(model, "conv.weight");
        float[] after = constant(pruned.model(), "conv.weight");
        assertEquals(72, zeros(after));
        float largestGone = 0;
        float smallestLeft = Float.MAX_VALUE;
        for (int i = 0; i < before.length; i++) {
            if (after[i] == 0) {
                largestGone = Math.max(largestGone, Math.abs(before[i]));
            } else {
                assertEquals(before[i], after[i]);
                smallestLeft = Math.min(smallestLeft, Math.abs(after[i]));
            }
        }
        assertTrue(largestGone < smallestLeft);
        assertEquals(32, zeros(hidden(pruned.model())));
        assertEquals(20, zeros(constant(pruned.model(), "gemm")));
        assertEquals(0, zeros(constant(pruned.model(), "conv.bias")));
        assertEquals(0.25, pruned.sparsity(), 1e-9);
        assertEquals(
                List.of("conv.weight", "m", "gemm"),
                pruned.layers().stream().map(Layer::weight).toList());
    }

    @Test
    @DisplayName("keeps nodes, names and all else of the file, and the model it was given")
    void keepsTheFile() {
        OnnxModel model = network();
        String before = model.toProto().toString();

        OnnxModel pruned = OnnxPruner.l1(0.5).prune(model).model();

        assertEquals(before, model.toProto().toString());
        assertEquals(
                model.graph().nodes().stream().map(OnnxNode::toString).toList(),
                pruned.graph().nodes().stream().map(OnnxNode::toString).toList());
        assertEquals(
                model.toProto().getGraph().getInputList(),
                pruned.toProto().getGraph().getInputList());
    }

    @Test
    @DisplayName("takes a share of all layers together if nothing else is said")
    void global() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .constant(
                                "small",
                                ConstantTensor.floats(List.of(4L, 2L), 1, 2, 3, 4, 5, 6, 7, 8))
                        .constant(
                                "large",
                                ConstantTensor.floats(
                                        List.of(2L, 4L), 11, 12, 13, 14, 15, 16, 17, 18))
                        .node("a = MatMul(x, small)")
                        .node("y = MatMul(a, large)")
                        .output("y")
                        .build();

        PrunedModel pruned = OnnxPruner.l1(0.5).prune(model);

        assertEquals(8, zeros(constant(pruned.model(), "small")));
        assertEquals(0, zeros(constant(pruned.model(), "large")));
    }

    @Test
    @DisplayName("keeps n of m along the inputs of each kind of layer")
    void groupsAlongInputs() {
        PrunedModel pruned = OnnxPruner.nOfM(1, 4).prune(network());

        float[] conv = constant(pruned.model(), "conv.weight");
        for (int out = 0; out < 8; out++) {
            for (int place = 0; place < 9; place++) {
                assertEquals(3, zeros(column(conv, out * 36 + place, 9, 4)));
            }
        }
        float[] gemm = constant(pruned.model(), "gemm");
        for (int out = 0; out < 5; out++) {
            for (int group = 0; group < 4; group++) {
                assertEquals(3, zeros(column(gemm, group * 20 + out, 5, 4)));
            }
        }
        // Held as [16, 8] and read transposed: each row of the file is an output.
        float[] matrix = hidden(pruned.model());
        for (int group = 0; group < 32; group++) {
            assertTrue(zeros(column(matrix, group * 4, 1, 4)) >= 3);
        }
    }

    private static float[] column(float[] values, int from, int step, int count) {
        var column = new float[count];
        for (int i = 0; i < count; i++) {
            column[i] = values[from + i * step];
        }
        return column;
    }

    @Test
    @DisplayName(
            "leaves layers as they are whose inputs make no groups, or that are named, and says so")
    void leavesLayers() {
        PrunedModel groups = OnnxPruner.nOfM(2, 8).prune(network());
        PrunedModel kept = OnnxPruner.l1(0.5).keep("y/*", "conv.*").prune(network());

        assertEquals(
                List.of("kept: 4 inputs make no groups of 8", "", ""),
                groups.layers().stream().map(Layer::note).toList());
        assertEquals(
                List.of("kept as asked", "", "kept as asked"),
                kept.layers().stream().map(Layer::note).toList());
        assertEquals(0, zeros(constant(kept.model(), "conv.weight")));
        assertEquals(0, zeros(constant(kept.model(), "gemm")));
    }

    @Test
    @DisplayName("prunes half precision without touching what stays")
    void halves() {
        try (Tensor half =
                Tensors.of(new float[] {0.1f, -4, 0.3f, 2}, 2, 2)
                        .to(org.bytedeco.pytorch.global.torch.ScalarType.Half)) {
            OnnxModel model =
                    TestGraphs.opset(17)
                            .input("x: Float16[N, 2]")
                            .constant("w", ConstantTensor.of(half))
                            .node("y = MatMul(x, w)")
                            .output("y")
                            .build();

            OnnxModel pruned = OnnxPruner.l1(0.5).prune(model).model();

            float[] before = constant(model, "w");
            float[] after = constant(pruned, "w");
            assertEquals(
                    List.of(0f, before[1], 0f, before[3]),
                    List.of(after[0], after[1], after[2], after[3]));
            assertEquals(before.length * 2L, pruned.constantBytes());
        }
    }

    @Test
    @DisplayName("counts zeros that were there, and draws the same at random from the same seed")
    void random() {
        Libtorch.seed(3);
        PrunedModel once = OnnxPruner.random(0.5).prune(network());
        Libtorch.seed(3);
        PrunedModel again = OnnxPruner.random(0.5).prune(network());

        assertEquals(once.model().toProto(), again.model().toProto());
        assertEquals(once.zeros(), OnnxPruner.l1(0.5).prune(once.model()).zeros());
    }

    @Test
    @DisplayName("gives a model that runs, whose recurrent layers are pruned too")
    void recurrent() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[5, 2, 4]")
                        .weight("w", 1, 9, 4)
                        .weight("r", 1, 9, 3)
                        .node("y = GRU(x, w, r)", node -> node.with("hidden_size", 3))
                        .output("y")
                        .build();

        PrunedModel pruned = OnnxPruner.nOfM(2, 4).prune(model);

        assertEquals(18, zeros(constant(pruned.model(), "w")));
        assertEquals(0, zeros(constant(pruned.model(), "r")));
        try (var session = OnnxSession.open(pruned.model())) {
            assertEquals(1, session.run(Map.of("x", Tensors.randn(5, 2, 4))).size());
        }
    }

    @ParameterizedTest
    @DisplayName("refuses nonsense in a sentence")
    @CsvSource({
        "1.5, '', from 0.0 to 1.0",
        "0.5, nothing*, No layer with a weight",
        "0.5, *, No layer is left"
    })
    void refuses(double share, String keep, String words) {
        OnnxModel model = network();

        var refused =
                assertThrows(
                        EspalierException.class,
                        () -> OnnxPruner.l1(share).keep(keep).prune(model));

        assertTrue(String.valueOf(refused.getMessage()).contains(words), refused.getMessage());
    }

    @Test
    @DisplayName("refuses a model without layers")
    void refusesWithoutLayers() {
        OnnxModel model =
                TestGraphs.opset(17).input("x: Float[N]").node("y = Relu(x)").output("y").build();
        OnnxPruner pruner = OnnxPruner.nOfM(2, 4);

        assertThrows(EspalierException.class, () -> pruner.prune(model));
    }

    @Test
    @DisplayName("sees the weights that functions use, which come apart")
    void functions() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .function(
                                "y = my.layers:Dense(x, w)",
                                TestGraphs.opset(17).node("t = MatMul(x, w)").node("y = Relu(t)"))
                        .input("x: Float[N, 8]")
                        .weight("w", 8, 8)
                        .weight("v", 8, 8)
                        .node("a = my.layers:Dense(x, w)")
                        .node("y = my.layers:Dense(a, v)")
                        .output("y")
                        .build();

        PrunedModel pruned = OnnxPruner.l1(0.5).perLayer().prune(model);

        assertEquals(2, pruned.layers().size());
        assertEquals(32, zeros(constant(pruned.model(), "v")));
    }
}
