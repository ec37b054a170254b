package io.espalier.onnx.fit;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/** How much data may go through a model and its reference at once. */
public final class StreamBudget {
    /** What both models' values may take. */
    private static final long MOST_BYTES = 1L << 30;

    /** How many values of a model are alive at once, as a guess. */
    private static final int LIVE = 3;

    private StreamBudget() {}

    /** Batches from the first on, as many as both models' values leave room for; one at least. */
    public static List<Map<String, Tensor>> asMuchAsFits(
            OnnxModel model, List<Map<String, Tensor>> data) {
        long largest = sizes(model, data.getFirst()).max().orElse(1);
        long room = Math.max(1, MOST_BYTES / (2 * LIVE * Float.BYTES) / largest);
        return data.subList(0, (int) Math.min(data.size(), room));
    }

    /** How many numbers all values of a model together have in one run, as far as is known. */
    public static long numbers(OnnxModel model, Map<String, Tensor> batch) {
        return sizes(model, batch).sum();
    }

    private static LongStream sizes(OnnxModel model, Map<String, Tensor> batch) {
        Map<String, List<Long>> extents = new LinkedHashMap<>();
        batch.forEach((name, tensor) ->
                extents.put(name, Arrays.stream(Tensors.shape(tensor)).boxed().toList()));
        Shapes shapes = Shapes.of(model, extents);
        return model.graph().nodes().stream()
                .mapToLong(node -> {
                    List<Long> shape = shapes.extents(node.output());
                    return shape == null ? 1 : shape.stream().reduce(1L, (a, b) -> a * b);
                });
    }
}
