package io.espalier.onnx.fit;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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
        Map<String, List<Long>> extents = new LinkedHashMap<>();
        data.getFirst()
                .forEach((name, tensor) ->
                        extents.put(name, Arrays.stream(Tensors.shape(tensor)).boxed().toList()));
        Shapes shapes = Shapes.of(model, extents);
        long largest = 1;
        for (OnnxNode node : model.graph().nodes()) {
            List<Long> shape = shapes.extents(node.output());
            if (shape != null) {
                largest = Math.max(largest, shape.stream().reduce(1L, (a, b) -> a * b));
            }
        }
        long room = Math.max(1, MOST_BYTES / (2 * LIVE * Float.BYTES) / largest);
        return data.subList(0, (int) Math.min(data.size(), room));
    }
}
