package io.espalier.onnx.zoo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.stream.Stream;

@DisplayName("Each architecture, as each exporter writes it,")
class ZooTest {
    /** Models whose nodes libtorch's graphs don't have: the error names them. */
    private static final Set<String> NOT_LOWERED =
            Set.of("branches", "loop", "detector", "sequences");

    /** Whose results have extents that only a run decides, or that no type says. */
    private static final Set<String> LEFT_OPEN = Set.of("NonMaxSuppression", "Loop", "SequenceAt");

    @TempDir Path folder;

    private interface Check {
        void of(String name, OnnxModel model, Map<String, Tensor> inputs) throws IOException;
    }

    private static Stream<DynamicTest> each(Check check) {
        return Zoo.models().entrySet().stream()
                .flatMap(model ->
                        Stream.of(Exporter.values())
                                .map(exporter ->
                                        DynamicTest.dynamicTest(
                                                model.getKey() + ", " + exporter,
                                                () -> {
                                                    try (var scope = new PointerScope();
                                                            var noGrad = new NoGradGuard()) {
                                                        OnnxModel built =
                                                                model.getValue().apply(exporter);
                                                        check.of(
                                                                model.getKey(),
                                                                built,
                                                                Batches.first(built));
                                                    }
                                                })));
    }

    @TestFactory
    @DisplayName(
            "comes back from a file as it was, is repaired, and has the shapes that are inferred")
    Stream<DynamicTest> passes() {
        return each((name, model, inputs) -> {
            Map<String, Tensor> expected = Batches.run(model, inputs);

            Path file = folder.resolve("model.onnx");
            model.save(file);
            Batches.assertNear(expected, Batches.run(OnnxModel.load(file), inputs), 0);
            long bytes = model.toProto().getSerializedSize();
            assertEquals(bytes, Files.size(file), 0.01 * bytes);

            OnnxModel repaired = Repair.run(model).model();
            Batches.assertNear(expected, Batches.run(repaired, inputs), 1e-4);
            assertTrue(repaired.byteSize() <= model.byteSize(), "size");

            if (!model.hasFunctions()) {
                assertShapes(model, inputs, expected);
            }
            assertShapes(repaired, inputs, expected);
            assertTrue(ModelCost.of(model).macs() >= 0);
        });
    }

    private static void assertShapes(
            OnnxModel model, Map<String, Tensor> inputs, Map<String, Tensor> results) {
        var extents = new HashMap<String, List<Long>>();
        inputs.forEach((input, tensor) -> extents.put(input, extents(tensor)));
        Shapes shapes = Shapes.of(model, extents);
        var unknown = new ArrayList<String>();
        results.forEach((result, tensor) -> {
            List<Long> found = shapes.extents(result);
            if (found == null) {
                unknown.add(result + ": " + shapes.type(result));
            } else {
                assertEquals(extents(tensor), found, result);
            }
            assertEquals(
                    Tensors.type(tensor),
                    Objects.requireNonNull(shapes.elements(result)).libtorch(),
                    result);
        });
        boolean byContent =
                model.graph().nodes().stream().anyMatch(n -> LEFT_OPEN.contains(n.op()));
        assertTrue(unknown.isEmpty() || byContent, unknown.toString());
    }

    private static List<Long> extents(Tensor tensor) {
        return LongStream.of(Tensors.shape(tensor)).boxed().toList();
    }

    @TestFactory
    @DisplayName("gives the same on libtorch, or one sentence says which node can't be there")
    Stream<DynamicTest> lowered() {
        return each((name, model, inputs) -> {
            try {
                Map<String, Tensor> found = Lowering.lower(model).run(inputs);
                // Sums of halves are as far apart as halves are.
                double tolerance = name.contains("hal") ? 2e-3 : 1e-4;
                Batches.assertNear(Batches.run(model, inputs), found, tolerance);
            } catch (EspalierException e) {
                assertTrue(NOT_LOWERED.contains(name), e.getMessage());
            }
        });
    }
}
