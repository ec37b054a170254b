package io.espalier.onnx.inputs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import static java.util.Objects.requireNonNull;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

@DisplayName("Random numbers as a model's inputs")
class RandomInputsTest {
    private static float[] first(Inputs inputs, OnnxModel model, String name) {
        try (var loop = inputs.checkedFor(model).iterator()) {
            return Tensors.floats(requireNonNull(loop.next().get(name)));
        }
    }

    @Test
    @DisplayName("are the same for the same seed, and come with a warning")
    void seeded() {
        OnnxModel model = ModelsTaking.of("x: float [N, 3]");

        float[] one = first(Inputs.random().shuffled(1), model, "x");

        assertArrayEquals(one, first(Inputs.random().shuffled(1), model, "x"));
        assertTrue(!Arrays.equals(one, first(Inputs.random().shuffled(2), model, "x")));
        InputBatches batches = Inputs.random().limit(5).checkedFor(model);
        assertTrue(batches.warning().orElseThrow().contains("random"));
        int examples = 0;
        for (Map<String, Tensor> batch : batches) {
            examples += (int) requireNonNull(batch.get("x")).size(0);
        }
        assertEquals(5, examples);
    }

    @Test
    @DisplayName("are not made for models that take more at once than there can be")
    void tooMany() {
        OnnxModel model = ModelsTaking.of("x: float [%d, 4]".formatted(1L << 40));

        var refused =
                assertThrows(EspalierException.class, () -> Inputs.random().checkedFor(model));
        assertEquals(
                "The model takes 1,099,511,627,776 examples at once, more than can be given.",
                refused.getMessage());
        OnnxModel wide = ModelsTaking.of("x: float [1, 3, N, 100000]");
        assertEquals(
                "'x' would be [1, 3, 100000, 100000], more numbers than can be drawn at once"
                        + " (2,147,483,639); make what the model leaves open smaller, or take fewer"
                        + " examples at once.",
                assertThrows(
                                EspalierException.class,
                                () -> Inputs.random().size("N", 100_000).checkedFor(wide))
                        .getMessage());
    }

    @Test
    @DisplayName("look up any row of a table and no other, and hide nothing behind a mask")
    void rows() {
        OnnxModel model =
                ModelsTaking.of("ids: int64 [N, 64]", "mask: int64 [N, 64]")
                        .rewritten(graph -> {
                            String table =
                                    graph.addConstant(
                                            "table",
                                            ConstantTensor.floats(List.of(5L, 1L), new float[5]));
                            graph.add(OnnxNode.of("Identity", List.of("ids"), "same"));
                            graph.add(OnnxNode.of("Gather", List.of(table, "same"), "rows"));
                        });

        float[] ids = first(Inputs.random(), model, "ids");

        boolean[] seen = new boolean[5];
        for (float id : ids) {
            seen[(int) id] = true;
        }
        assertArrayEquals(new boolean[] {true, true, true, true, true}, seen);
        float[] ones = new float[8 * 64];
        Arrays.fill(ones, 1);
        assertArrayEquals(ones, first(Inputs.random(), model, "mask"));
    }

    @Test
    @DisplayName("need a size where the model leaves one open")
    void sizes() {
        OnnxModel model = ModelsTaking.of("x: float [N, 3, H, ?]");

        var error = assertThrows(EspalierException.class, () -> Inputs.random().checkedFor(model));
        float[] drawn = first(Inputs.random().size("H", 4).size("x[3]", 5).batch(2), model, "x");

        assertEquals(
                "Random inputs need the size of 'H', which the model leaves open: x: float [N, 3,"
                        + " H, ?]. Set it by size(\"H\", N), on the command line --dimension H=N.",
                error.getMessage());
        assertEquals(2 * 3 * 4 * 5, drawn.length);
        assertEquals(3 * 6 * 7, first(Inputs.random().imageSize(6, 7).batch(1), model, "x").length);
    }

    @Test
    @DisplayName("refuse a size of images that the model does not take")
    void otherImages() {
        RandomInputs random = Inputs.random().imageSize(6, 7);
        OnnxModel fixed = ModelsTaking.of("x: float [N, 3, 16, 16]");

        random.requireOpenIn(ModelsTaking.of("x: float [N, 3, 6, W]"));
        var error = assertThrows(EspalierException.class, () -> random.requireOpenIn(fixed));
        assertEquals(
                "The model takes no images of 6x7. The model wants x: float [N, 3, 16, 16].",
                error.getMessage());
    }
}
