package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
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
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("A slimmer of ONNX files")
class OnnxSlimmerTest {
    @ParameterizedTest
    @EnumSource
    @DisplayName("finds what goes together, and removes it with all that says how much there is")
    void findsGroups(SmallNetwork graph) {
        var slimmer = OnnxSlimmer.of(graph.model);

        String groups = slimmer.groups().toString();
        assertTrue(groups.contains(": " + graph.group + "\n"), groups);
        List<Unit> half = slimmer.leastImportant(0.5);
        OnnxModel slim = slimmer.remove(half);

        OnnxModel zeroed = ZeroedModel.of(slimmer, slimmer.groups().choose(half));
        Slimmed.assertSlim(graph.model, zeroed, slim, 1e-5);
        assertTrue(ModelCost.of(slim).parameters() < ModelCost.of(slimmer.model()).parameters());
    }

    @Test
    @DisplayName("says what pins what")
    void tellsPins() {
        String groups = OnnxSlimmer.of(SmallNetwork.UNKNOWN.model).groups().toString();

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
        Slimmed.assertSlim(model, slimmer.remove(half), slimmer.remove(half), 1e-5);
    }

    @Test
    @DisplayName("refuses a share that isn't one, and leaves the model that it was given as it was")
    void refusesShares() {
        OnnxModel model = SmallNetwork.GATED.model;
        byte[] before = model.toProto().toByteArray();
        var slimmer = OnnxSlimmer.of(model);
        slimmer.remove(slimmer.leastImportant(0.25));

        assertArrayEquals(before, model.toProto().toByteArray());
        assertThrows(EspalierException.class, () -> slimmer.leastImportant(0));
    }

    @Test
    @DisplayName("refuses null by name")
    @SuppressWarnings("NullAway")
    void refusesNull() {
        var slimmer = OnnxSlimmer.of(SmallNetwork.GATED.model);
        Slimming slimming = slimmer.ratio(0.5);
        List<Executable> calls =
                List.of(
                        () -> slimmer.remove(null),
                        () -> slimmer.remove(Arrays.asList((Unit) null)),
                        () -> slimmer.only((String[]) null),
                        () -> slimmer.only("a", null),
                        () -> slimmer.keep((String) null),
                        () -> slimming.importance(null),
                        () -> slimming.timedOn(null),
                        () -> slimming.progress(null),
                        () -> slimming.part(null, 0, 1),
                        () -> Importance.secondOrder(null),
                        () -> Importance.activation(null),
                        () -> Importance.gradient(null),
                        () -> Importance.of(null));
        for (Executable call : calls) {
            String words = String.valueOf(assertThrows(EspalierException.class, call).getMessage());
            assertTrue(words.startsWith("Null was given for "), words);
        }
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
        var slimmer = OnnxSlimmer.of(SmallNetwork.UNKNOWN.model);

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

    private static long parameters(OnnxModel model) {
        return ModelCost.of(model).parameters();
    }

    @Test
    @DisplayName("knows weights that normalizations become part of by the file's names")
    void namesOfFoldedWeights() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .weight("w1", 8, 3, 3, 3)
                        .floats("scale", 1, 2, 3, 4, 5, 6, 7, 8)
                        .floats("shift", 1, 1, 1, 1, 1, 1, 1, 1)
                        .node("a = Conv(x, w1)", n -> n.withName("first"))
                        .node(
                                "b = BatchNormalization(a, scale, shift, shift, scale)",
                                n -> n.withName("norm"))
                        .node("c = Relu(b)")
                        .weight("w2", 4, 8, 3, 3)
                        .node("y = Conv(c, w2)")
                        .output("y")
                        .build();
        var slimmer = OnnxSlimmer.of(model);

        assertEquals(
                List.of(4),
                slimmer.only("w1").ratio(0.5).run().rows().stream()
                        .map(SlimResult.Row::left)
                        .toList());
        for (String name : List.of("w1", "scale", "norm", "nor*")) {
            assertTrue(slimmer.keep(name).independent().isEmpty(), name);
            assertEquals(1, slimmer.only(name).independent().size(), name);
        }
        assertThrows(EspalierException.class, () -> slimmer.keep("another"));
    }

    @Test
    @DisplayName("takes half of the channels of a recognizer of lines, of a detector and of MiniLM")
    void slimsRealModels(@TempDir Path folder) {
        assertHalved(RealModels.ocr(folder), 0.35);
        assertHalved(RealModels.detector(folder), 0.35);
        assertHalved(RealModels.miniLm(folder), 0.77);
    }

    private static void assertHalved(Path file, double share) {
        OnnxModel model = OnnxModel.load(file);
        var slimmer = OnnxSlimmer.of(model);
        List<Unit> half = slimmer.leastImportant(0.5);
        OnnxModel slim = slimmer.remove(half);
        assertTrue(parameters(slim) <= share * parameters(slimmer.model()), file.toString());
        Slimmed.assertSlim(
                model, ZeroedModel.of(slimmer, slimmer.groups().choose(half)), slim, 1e-4);
    }

    @ParameterizedTest(name = "of version {0}")
    @ValueSource(ints = {3, 8})
    @DisplayName("takes channels of weights that are inputs too, in files")
    void weightsAsInputs(int version) {
        OnnxModel model =
                OnnxModel.of(
                        TestGraphs.opset(9)
                                .input("x: Float[N, 3, 5, 5]")
                                .input("w: Float[8, 3, 3, 3]")
                                .input("v: Float[2, 8, 1, 1]")
                                .weight("w", 8, 3, 3, 3)
                                .weight("v", 2, 8, 1, 1)
                                .node("c = Conv(x, w)")
                                .node("r = Relu(c)")
                                .node("y = Conv(r, v)")
                                .output("y")
                                .build()
                                .toProto()
                                .toBuilder()
                                .setIrVersion(version)
                                .build());

        OnnxModel slim = OnnxSlimmer.of(model).ratio(0.5).run().model();

        assertEquals(
                List.of(4L, 3L, 3L, 3L),
                Objects.requireNonNull(slim.graph().constants().get("w")).shape());
        OnnxModel counted = OnnxSlimmer.of(model).macs(0.5).run().model();
        assertEquals(0.5 * ModelCost.of(model).macs(), ModelCost.of(counted).macs());
        try (var scope = new PointerScope();
                var session = OnnxSession.open(OnnxModel.of(slim.toProto()))) {
            Tensor y =
                    Objects.requireNonNull(
                            session.run(Map.of("x", Tensors.randn(2, 3, 5, 5))).get("y"));
            assertArrayEquals(new long[] {2, 2, 3, 3}, Tensors.shape(y));
        }
    }

    @Test
    @DisplayName("refuses to slim where nothing is left that may go")
    void nothingLeft() {
        OnnxSlimmer kept = OnnxSlimmer.of(SmallNetwork.UNKNOWN.model).keep("*");

        assertEquals(
                "No layer is left to take channels from; name others to take from, or fewer to"
                        + " keep.",
                assertThrows(EspalierException.class, () -> kept.ratio(0.5).run()).getMessage());

        OnnxSlimmer pinned =
                OnnxSlimmer.of(
                        TestGraphs.opset(17)
                                .input("x: Float[N, 6]")
                                .weight("w", 6, 6)
                                .node("y = MatMul(x, w)")
                                .output("y")
                                .build());
        var refused = assertThrows(EspalierException.class, () -> pinned.ratio(0.5).run());
        String begin = "The model has no channels that can go: those of w[";
        assertTrue(String.valueOf(refused.getMessage()).startsWith(begin), refused::getMessage);
    }
}
