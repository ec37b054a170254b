package io.espalier.onnx.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.ModelsTaking;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.RunningModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

@DisplayName("A model beside another")
class ModelComparisonTest {
    private static final float[] ROWS = {1, 2, 3, -4, 5, -6};

    @TempDir Path folder;

    /** y = (x · factor) + 1, where the product is called {@code inner}. */
    private static OnnxModel affine(float factor, Consumer<List<OnnxNode>> change) {
        return ModelsTaking.of("x: float [N, 3]")
                .rewritten(graph -> {
                    String by = graph.addConstant("by", ConstantTensor.scalar(factor));
                    String one = graph.addConstant("one", ConstantTensor.scalar(1));
                    var nodes = new ArrayList<OnnxNode>();
                    nodes.add(OnnxNode.of("Mul", List.of("x", by), "inner"));
                    nodes.add(OnnxNode.of("Add", List.of("inner", one), "out_x"));
                    change.accept(nodes);
                    graph.remove(graph.nodes().getFirst());
                    nodes.forEach(graph::add);
                });
    }

    private static OnnxModel affine(float factor) {
        return affine(factor, nodes -> {});
    }

    private static InputBatches rows(OnnxModel model) {
        return Inputs.of(
                        List.of(
                                Map.of("x", Tensors.of(ROWS, 2, 3)),
                                Map.of("x", Tensors.of(new float[] {1, 1, 1}, 1, 3))))
                .checkedFor(model);
    }

    private static ModelComparison compare(OnnxModel reference, OnnxModel candidate) {
        return ModelComparison.of(
                reference, candidate, rows(reference), settings -> settings.turns(1).threads(1));
    }

    @Test
    @DisplayName("has the largest error, the relative one and the cosine of its outputs and layers")
    void errors() {
        ModelComparison found = compare(affine(2), affine(3));

        assertEquals(3, found.examples());
        assertEquals(2, found.batch());
        // Differences are x itself: of 2x + 1 at the outputs, of 2x at the product.
        double squares = 1 + 4 + 9 + 16 + 25 + 36 + 3;
        double outputSquares = 9 + 25 + 49 + 49 + 121 + 121 + 27;
        ValueError output = found.outputs().getFirst();
        assertEquals("out_x", output.name());
        assertEquals("Add", output.op());
        assertEquals(6, output.maxError(), 1e-6);
        assertEquals(Math.sqrt(squares / outputSquares), output.relativeError(), 1e-6);
        assertTrue(output.cosine() < 1 && output.cosine() > 0.98, output.toString());
        assertEquals(new ValueError("inner", "Mul", 6, 0.5, 0.5, 1), found.layers().getFirst());
        assertEquals(1, found.layers().size());
        assertTrue(found.time().reference() > 0 && found.time().candidate() > 0);
    }

    @Test
    @DisplayName("is equal to itself, all layers of a real model too")
    void same() {
        OnnxModel model = OnnxModel.load(RealModels.ocr(folder));
        InputBatches inputs = Inputs.random().imageSize(48, 32).limit(2).checkedFor(model);
        var batches = new AtomicInteger();

        ModelComparison found =
                ModelComparison.of(
                        model,
                        model,
                        inputs,
                        settings -> settings.turns(1).afterBatch(batches::incrementAndGet));

        assertTrue(found.layers().size() > 100, "layers: " + found.layers().size());
        for (ValueError each : found.layers()) {
            assertEquals(0, each.maxError(), each.toString());
            assertEquals(0, each.relativeError(), each.toString());
        }
        assertEquals(1, found.outputs().getFirst().cosine(), 1e-9);
        assertEquals(2, batches.get(), "one batch, two passes");
    }

    /** y = x in each session's 40 MB, and a library's 160 MB that the first session loads. */
    private static final class Loading implements RunningModel {
        private static final int MEGABYTE_OF_FLOATS = 1 << 18;
        private static final List<Tensor> LIBRARY = new ArrayList<>();
        private final Tensor own = Tensors.keep(Tensors.ones(40 * MEGABYTE_OF_FLOATS));

        Loading() {
            if (LIBRARY.isEmpty()) {
                LIBRARY.add(Tensors.keep(Tensors.ones(160 * MEGABYTE_OF_FLOATS)));
            }
        }

        @Override
        public Map<String, Tensor> run(Map<String, Tensor> inputs) {
            return Map.of("out_x", Objects.requireNonNull(inputs.get("x")).clone());
        }

        @Override
        public void close() {
            own.releaseReference();
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    @DisplayName("takes the memory of its own session, without what is loaded once for all")
    void memory() {
        OnnxModel model = affine(2);

        ModelComparison found =
                ModelComparison.of(model, Loading::new, rows(model), s -> s.turns(1).threads(1));

        double bytes = found.candidateMemory().orElseThrow();
        assertTrue(bytes > 35e6 && bytes < 80e6, "bytes: " + bytes);
        Loading.LIBRARY.forEach(Tensor::releaseReference);
    }

    @Test
    @DisplayName("has the error of a layer but for what all rows of a channel have more")
    void shifts() {
        OnnxModel model = shifted(0, 0, 0, 1);
        InputBatches rows =
                Inputs.of(
                                List.of(
                                        Map.of("x", Tensors.randn(8, 3)),
                                        Map.of("x", Tensors.randn(8, 3))))
                        .checkedFor(model);

        ValueError alone = inner(model, shifted(5, -7, 9, 1), rows);
        ValueError both = inner(model, shifted(5, -7, 9, 2), rows);

        assertTrue(alone.relativeError() > 3, alone.toString());
        assertEquals(0, alone.shiftFreeError(), 1e-6);
        assertTrue(both.relativeError() > 3, both.toString());
        assertEquals(1, both.shiftFreeError(), 0.2);
    }

    private static ValueError inner(OnnxModel model, OnnxModel other, InputBatches rows) {
        return ModelComparison.of(model, other, rows, settings -> settings.turns(1).threads(1))
                .layers()
                .getLast();
    }

    private static OnnxModel shifted(float first, float second, float third, float factor) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3]")
                .floats("factor", factor)
                .floats("shift", first, second, third)
                .node("times = Mul(x, factor)")
                .node("inner = Add(times, shift)")
                .node("out = Sub(inner, shift)")
                .output("out")
                .build();
    }

    @Test
    @DisplayName("is compared at values of real numbers and one shape alone, and without layers")
    void layers() {
        OnnxModel other =
                affine(
                        3,
                        nodes -> {
                            nodes.set(0, nodes.getFirst().withOutputs(List.of("product")));
                            nodes.set(1, nodes.get(1).withInput(0, "product"));
                            nodes.add(OnnxNode.of("Shape", List.of("x"), "inner"));
                        });

        assertEquals(List.of(), compare(affine(2), other).layers());
        assertEquals(
                List.of(),
                ModelComparison.of(
                                affine(2),
                                affine(3),
                                rows(affine(2)),
                                settings -> settings.turns(1).withoutLayers())
                        .layers());
    }

    /** x + factor · (1 − mask), and heads of it, [N, 1, L, 1]. */
    private static OnnxModel padded(float factor) {
        return ModelsTaking.of("x: float [N, L]", "attention_mask: int64 [N, L]")
                .rewritten(graph -> {
                    String by = graph.addConstant("by", ConstantTensor.scalar(-factor));
                    String to = graph.addConstant("to", ConstantTensor.scalar(factor));
                    String axes =
                            graph.addConstant("axes", ConstantTensor.longs(List.of(2L), 1, 3));
                    graph.remove(graph.nodes().getFirst());
                    graph.add(
                            OnnxNode.of("Cast", List.of("attention_mask"), "mask")
                                    .with("to", ElementType.FLOAT.code()));
                    graph.add(OnnxNode.of("Mul", List.of("mask", by), "shown"));
                    graph.add(OnnxNode.of("Add", List.of("shown", to), "hidden"));
                    graph.add(OnnxNode.of("Add", List.of("x", "hidden"), "out_x"));
                    graph.add(OnnxNode.of("Unsqueeze", List.of("out_x", axes), "heads"));
                });
    }

    @Test
    @DisplayName("is not held to what it gives where a mask hides it")
    void padding() {
        InputBatches inputs =
                Inputs.of(
                                List.of(
                                        Map.of(
                                                "x",
                                                Tensors.of(ROWS, 2, 3),
                                                "attention_mask",
                                                Tensors.of(new long[] {1, 1, 0, 1, 0, 0}, 2, 3))))
                        .checkedFor(padded(0));

        ModelComparison found =
                ModelComparison.of(padded(0), padded(100), inputs, settings -> settings.turns(1));

        assertEquals(0, found.outputs().getFirst().maxError());
        assertEquals(
                Map.of("mask", 0.0, "shown", 100.0, "hidden", 0.0, "heads", 0.0),
                found.layers().stream()
                        .collect(Collectors.toMap(ValueError::name, ValueError::maxError)));
    }

    @Test
    @DisplayName("is compared in groups of layers whatever their number")
    void manyLayers() {
        List<ValueError> layers = compare(chain(40, 1), chain(40, 2)).layers();

        assertEquals(
                IntStream.range(0, 39).mapToObj(i -> "v" + i).toList(),
                layers.stream().map(ValueError::name).toList());
        assertEquals(2 * 6 - 6, layers.getFirst().maxError(), 1e-6);
    }

    private static OnnxModel chain(int length, float factor) {
        return ModelsTaking.of("x: float [N, 3]")
                .rewritten(graph -> {
                    String by = graph.addConstant("by", ConstantTensor.scalar(factor));
                    graph.remove(graph.nodes().getFirst());
                    graph.add(OnnxNode.of("Mul", List.of("x", by), "v0"));
                    for (int i = 1; i < length; i++) {
                        String name = i == length - 1 ? "out_x" : "v" + i;
                        graph.add(OnnxNode.of("Neg", List.of("v" + (i - 1)), name));
                    }
                });
    }

    @Test
    @DisplayName("of another purpose is refused in one sentence")
    void refused() {
        OnnxModel reference = affine(2);
        OnnxModel others = ModelsTaking.of("x: float [N, 3]", "y: float [N, 3]");
        OnnxModel wider =
                affine(
                        2,
                        nodes -> {
                            nodes.set(1, nodes.get(1).withOutputs(List.of("narrow")));
                            nodes.add(
                                    OnnxNode.of("Concat", List.of("narrow", "narrow"), "out_x")
                                            .with("axis", 1));
                        });

        assertRefused(
                "The reference gives [out_x], the candidate [out_x, out_y];", reference, others);
        assertRefused("out_x", reference, wider);
        for (String other : List.of("x: float [N, 4]", "x: float [N, 3, 1]", "x: double [N, 3]")) {
            assertRefused(
                    "The reference takes x: float [N, 3], the candidate "
                            + other
                            + "; compare models that take the same.",
                    reference,
                    ModelsTaking.of(other));
        }
    }

    private static void assertRefused(String words, OnnxModel reference, OnnxModel candidate) {
        String message =
                String.valueOf(
                        assertThrows(EspalierException.class, () -> compare(reference, candidate))
                                .getMessage());
        assertTrue(message.contains(words), message);
        assertEquals(1, message.lines().count(), message);
    }

    /** y = (x · factor) + 1 in a function. */
    private static OnnxModel calling(float factor) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3]")
                .function(
                        "y = own:Affine(x)",
                        TestGraphs.opset(17)
                                .node("by = Constant()", n -> n.with("value_float", factor))
                                .node("one = Constant()", n -> n.with("value_float", 1f))
                                .node("inner = Mul(x, by)", n -> n)
                                .node("y = Add(inner, one)", n -> n))
                .node("y = own:Affine(x)", n -> n)
                .output("y")
                .build();
    }

    @Test
    @DisplayName("shows the layers within functions of the files")
    void functions() {
        ModelComparison found = compare(calling(2), calling(3));

        assertEquals(List.of("Mul"), found.layers().stream().map(ValueError::op).toList());
        assertEquals(0.5, found.layers().getFirst().relativeError(), 1e-6);
    }
}
