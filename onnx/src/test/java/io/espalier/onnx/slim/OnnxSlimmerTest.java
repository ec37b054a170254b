package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.RandomInputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.tune.FineTuner;
import io.espalier.onnx.tune.TunedModel;
import io.espalier.slim.Unit;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("A slimmer of ONNX files")
class OnnxSlimmerTest {
    private static final RandomInputs INPUTS =
            Inputs.random()
                    .size("L", 5)
                    .size("sequence_length", 9)
                    .size("?", 48)
                    .size("p2o.DynamicDimension.1", 64)
                    .size("p2o.DynamicDimension.2", 64);

    /** What goes together in a small graph: units and what each is made of. */
    @SuppressWarnings("ImmutableEnumChecker") // Slimmers leave the models that they are given.
    enum Case {
        NORMALIZED(
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .weight("w1", 8, 3, 3, 3)
                        .node("c = Conv(x, w1)", n -> n.with("pads", List.of(1L, 1L, 1L, 1L)))
                        .weight("scale", 8)
                        .weight("shift", 8)
                        .node("n = InstanceNormalization(c, scale, shift)")
                        .weight("slope", 8, 1, 1)
                        .node("p = PRelu(n, slope)")
                        .weight("w2", 8, 1, 3, 3)
                        .node("d = Conv(p, w2)", n -> n.with("group", 8))
                        .weight("w3", 5, 8, 1, 1)
                        .node("y = Conv(d, w3)")
                        .output("y"),
                "8 units of w1[0], scale[0], shift[0], slope[0], w2[0], w3[1]"),
        GROUPED(
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .weight("w1", 12, 3, 1, 1)
                        .node("c = Conv(x, w1)")
                        .weight("w2", 8, 3, 3, 3)
                        .node("g = Conv(c, w2)", n -> n.with("group", 4))
                        .weight("w3", 8, 5, 2, 2)
                        .node("t = ConvTranspose(g, w3)", n -> n.with("group", 2))
                        .output("t"),
                // Two groups of the second layer make one of the third, which are both needed.
                "2 units of 6 of w1[0], 4 of w2[0], 4 of w3[0]"),
        RECURRENT(
                TestGraphs.opset(17)
                        .input("x: Float[L, 2, 6]")
                        .weight("w", 2, 32, 6)
                        .weight("r", 2, 32, 8)
                        .weight("b", 2, 64)
                        .node(
                                "h, last, cell = LSTM(x, w, r, b)",
                                n -> n.with("hidden_size", 8).with("direction", "bidirectional"))
                        .node("t = Transpose(h)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                        .integers("both", 0, 0, -1)
                        .node("f = Reshape(t, both)")
                        .weight("out", 16, 3)
                        .node("y = MatMul(f, out)")
                        .output("y"),
                "8 units of 4 of r[1], r[2], 4 of w[1], 8 of b[1], 2 of out[0]"),
        PIXELS(
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 4, 4]")
                        .weight("w1", 24, 3, 1, 1)
                        .node("c = Conv(x, w1)")
                        .node(
                                "d = DepthToSpace(c)",
                                n -> n.with("blocksize", 2).with("mode", "CRD"))
                        .weight("w2", 3, 6, 1, 1)
                        .node("y = Conv(d, w2)")
                        .output("y"),
                "6 units of 4 of w1[0], w2[1]"),
        GATED(
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 6]")
                        .weight("w1", 6, 16)
                        .node("h = MatMul(x, w1)")
                        .node("a, b = Split(h)", n -> n.with("axis", -1))
                        .node("s = Sigmoid(a)")
                        .node("m = Mul(s, b)")
                        .weight("w2", 8, 6)
                        .node("z = MatMul(m, w2)")
                        .node("y = Add(z, x)")
                        .output("y"),
                "8 units of 2 of w1[1], w2[0]"),
        TIED(
                TestGraphs.opset(17)
                        .input("i: Int64[N, L]")
                        .weight("table", 9, 6)
                        .node("e = Gather(table, i)")
                        .weight("w", 6, 6)
                        .node("h = MatMul(e, w)")
                        .node("t = Transpose(table)")
                        .node("y = MatMul(h, t)")
                        .output("y"),
                "6 units of table[1], w[0], w[1]"),
        PARTS(
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .weight("w1", 10, 3, 1, 1)
                        .node("c = Conv(x, w1)")
                        .integers("pads", 0, 2, 0, 0, 0, 0, 0, 0)
                        .node("p = Pad(c, pads)")
                        .integers("starts", 1)
                        .integers("ends", 10)
                        .integers("axes", 1)
                        .node("s = Slice(p, starts, ends, axes)")
                        .integers("order", 8, 6, 4, 2)
                        .node("g = Gather(s, order)", n -> n.with("axis", 1))
                        .weight("w2", 3, 4, 1, 1)
                        .node("y = Conv(g, w2)")
                        .output("y"),
                "4 units of w1[0], w2[1]"),
        MEANS(
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 6]")
                        .weight("w1", 6, 8)
                        .node("h = MatMul(x, w1)")
                        .weight("scale", 8)
                        .weight("shift", 8)
                        .node("n = LayerNormalization(h, scale, shift)")
                        .weight("w2", 8, 3)
                        .node("y = MatMul(n, w2)")
                        .output("y"),
                "8 units of w1[1], scale[0], shift[0], w2[0]; changes 'n/LayerNormalization'"),
        UNKNOWN(
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .weight("w1", 8, 3, 1, 1)
                        .node("c = Conv(x, w1)")
                        .node("l = LRN(c)", n -> n.with("size", 3))
                        .weight("w2", 8, 8, 1, 1)
                        .node("d = Conv(l, w2)")
                        .weight("w3", 4, 8, 1, 1)
                        .node("y = Conv(d, w3)")
                        .output("y"),
                "8 units of w2[0], w3[1]");

        private final OnnxModel model;
        private final String group;

        Case(TestGraphs graph, String group) {
            model = graph.build();
            this.group = group;
        }
    }

    private static Map<String, Tensor> run(OnnxModel model, Map<String, Tensor> inputs) {
        try (var session = OnnxSession.open(model, s -> s.threads(1))) {
            return session.run(inputs);
        }
    }

    /** Runs three models on the same inputs: the second and the third should give the same. */
    private static void assertSlim(
            OnnxModel model, OnnxModel zeroed, OnnxModel slim, double tolerance) {
        try (var scope = new PointerScope();
                var batches = INPUTS.limit(8).checkedFor(model).iterator()) {
            Map<String, Tensor> inputs = batches.next();
            Map<String, Tensor> expected = run(zeroed, inputs);
            Map<String, Tensor> found = run(slim, inputs);
            run(model, inputs)
                    .forEach((name, tensor) -> {
                        Tensor wanted =
                                Objects.requireNonNull(expected.get(name)).to(ScalarType.Float);
                        Tensor given = Objects.requireNonNull(found.get(name)).to(ScalarType.Float);
                        assertArrayEquals(Tensors.shape(tensor), Tensors.shape(given));
                        double extent = wanted.max().item_float() - wanted.min().item_float();
                        double range = Math.max(extent, 1e-2);
                        double error = wanted.sub(given).abs().max().item_float();
                        assertTrue(error <= tolerance * range, () -> error + " of " + range);
                    });
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("finds what goes together, and removes it with all that says how much there is")
    void findsGroups(Case graph) {
        var slimmer = OnnxSlimmer.of(graph.model);

        String groups = slimmer.groups().toString();
        assertTrue(groups.contains(": " + graph.group + "\n"), groups);
        List<Unit> half = slimmer.leastImportant(0.5);
        OnnxModel slim = slimmer.remove(half);

        OnnxModel zeroed = ZeroedModel.of(slimmer, slimmer.groups().choose(half));
        assertSlim(graph.model, zeroed, slim, 1e-5);
        assertTrue(ModelCost.of(slim).parameters() < ModelCost.of(slimmer.model()).parameters());
    }

    @Test
    @DisplayName("says what pins what")
    void tellsPins() {
        String groups = OnnxSlimmer.of(Case.UNKNOWN.model).groups().toString();

        assertEquals(
                """
                1: 8 units of w2[0], w3[1]
                stays, since 'l/LRN' (LRN) is not understood: no rule: w1[0]
                stays, since 'c/Conv' needs all: w1[1]
                stays, since 'd/Conv' needs all: w2[1]
                stays, since 'y' is a result: w3[0]
                """,
                groups);
    }

    @Test
    @DisplayName("keeps dimensions of weights that no rule answers for")
    void keepsWhatNobodyAnswersFor() {
        OnnxModel model =
                TestGraphs.opset(8)
                        .input("x: Float[2, 3, 4, 4]")
                        .weight("w1", 6, 3, 1, 1)
                        .node("c = Conv(x, w1)")
                        .weight("scale", 6, 4, 4)
                        .weight("shift", 6, 4, 4)
                        .weight("mean", 6, 4, 4)
                        .weight("variance", 6, 4, 4)
                        .node(
                                "n = BatchNormalization(c, scale, shift, mean, variance)",
                                n -> n.with("spatial", 0))
                        .weight("w2", 2, 6, 1, 1)
                        .node("y = Conv(n, w2)")
                        .output("y")
                        .build();

        assertEquals(1, OnnxSlimmer.of(model).groups().all().size());
    }

    @Test
    @DisplayName("keeps equal biases of layers apart that have nothing to do with each other")
    void keepsVectorsApart() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 6]")
                        .floats("b", 0, 0, 0, 0, 0, 0)
                        .weight("w1", 6, 6)
                        .weight("w2", 6, 6)
                        .weight("w3", 6, 6)
                        .node("h = Gemm(x, w1, b)")
                        .node("r = Relu(h)")
                        .node("i = Gemm(r, w2, b)")
                        .node("s = Relu(i)")
                        .node("y = Gemm(s, w3, b)")
                        .output("y")
                        .build();

        assertEquals(2, OnnxSlimmer.of(model).groups().all().size());
    }

    @Test
    @DisplayName("rewrites extents that are joined from computed and constant numbers")
    void rewritesComputedExtents() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 6]")
                        .weight("w1", 6, 32)
                        .node("h = MatMul(x, w1)")
                        .node("shape = Shape(x)")
                        .integers("zero", 0)
                        .integers("one", 1)
                        .node("n = Gather(shape, zero)")
                        .node("l = Gather(shape, one)")
                        .integers("heads", 4, 8)
                        .node("to = Concat(n, l, heads)", node -> node.with("axis", 0))
                        .node("t = Reshape(h, to)")
                        .node("p = Transpose(t)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                        .node("q = Transpose(t)", n -> n.with("perm", List.of(0L, 2L, 3L, 1L)))
                        .node("a = MatMul(p, q)")
                        .node("s = Softmax(a)")
                        .node("v = MatMul(s, p)")
                        .node("m = ReduceMean(v)", n -> n.with("axes", List.of(1L, 3L)))
                        .output("m")
                        .build();
        var slimmer = OnnxSlimmer.of(model);

        List<Unit> half = slimmer.leastImportant(0.5);

        assertEquals(2, half.size());
        assertSlim(model, slimmer.remove(half), slimmer.remove(half), 1e-5);
    }

    @Test
    @DisplayName("refuses a share that isn't one, and leaves the model that it was given as it was")
    void refusesShares() {
        OnnxModel model = Case.GATED.model;
        byte[] before = model.toProto().toByteArray();
        var slimmer = OnnxSlimmer.of(model);
        slimmer.remove(slimmer.leastImportant(0.25));

        assertArrayEquals(before, model.toProto().toByteArray());
        assertThrows(EspalierException.class, () -> slimmer.leastImportant(0));
    }

    @Test
    @DisplayName("gives a model that is fitted to the one it came from where layers are as wide")
    void fitsWhatIsLeft() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .weight("w1", 12, 3, 3, 3)
                        .weight("b1", 12)
                        .node("c = Conv(x, w1, b1)")
                        .node("r = Relu(c)")
                        .weight("w2", 12, 12, 1, 1)
                        .weight("b2", 12)
                        .node("d = Conv(r, w2, b2)")
                        .node("s = Relu(d)")
                        .node("m = GlobalAveragePool(s)")
                        .node("f = Flatten(m)")
                        .weight("w3", 12, 5)
                        .weight("b3", 5)
                        .node("y = Gemm(f, w3, b3)")
                        .output("y")
                        .build();
        var slimmer = OnnxSlimmer.of(model);
        OnnxModel slim = slimmer.remove(slimmer.leastImportant(0.7));

        TunedModel tuned =
                FineTuner.distilling(model).tune(slim, Inputs.random().batch(8).limit(64));

        assertTrue(
                tuned.dropAfter().orElseThrow() < 0.5 * tuned.dropBefore().orElseThrow(),
                tuned.toString());
    }

    @Test
    @DisplayName("takes only from layers that are named, and nothing from those to be kept")
    void choosesLayers() {
        var slimmer = OnnxSlimmer.of(Case.UNKNOWN.model);

        assertEquals(4, slimmer.only("w2").leastImportant(0.5).size());
        assertEquals(4, slimmer.only("d/*").keep("w1").leastImportant(0.5).size());
        assertEquals(0, slimmer.keep("*w3*").leastImportant(0.5).size());
        assertEquals(
                "Nothing that can be removed is named 'w1'; the groups tell what can.",
                assertThrows(EspalierException.class, () -> slimmer.only("w1")).getMessage());
        assertEquals(
                "No node or weight is named 'head'.",
                assertThrows(EspalierException.class, () -> slimmer.keep("head")).getMessage());
    }

    @Test
    @DisplayName("takes half of the channels of a recognizer of lines, of a detector and of MiniLM")
    void slimsRealModels(@TempDir Path folder) {
        assertHalved(RealModels.ocr(folder), 0.35);
        assertHalved(RealModels.detector(folder), 0.35);
        assertHalved(RealModels.miniLm(folder), 0.77);
    }

    private static void assertHalved(Path file, double parameters) {
        OnnxModel model = OnnxModel.load(file);
        var slimmer = OnnxSlimmer.of(model);
        List<Unit> half = slimmer.leastImportant(0.5);
        OnnxModel slim = slimmer.remove(half);
        long before = ModelCost.of(slimmer.model()).parameters();
        assertTrue(ModelCost.of(slim).parameters() <= parameters * before, file.toString());
        assertSlim(model, ZeroedModel.of(slimmer, slimmer.groups().choose(half)), slim, 1e-4);
    }
}
