package io.espalier.onnx.quant.conv;

import io.espalier.onnx.fit.StreamBudget;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.model.OnnxModel;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The first examples of the data in batches so small that all values of a model fit in memory,
 * which a run backwards needs.
 */
public final class FewExamples {
    private static final int EXAMPLES = 16;

    /** What the values of one run may take. */
    private static final long MOST_BYTES = 1L << 28;

    /** The same where an example can't be had in parts. */
    private static final long MOST_BYTES_SINGLY = 1L << 30;

    private FewExamples() {}

    /** The batches; none where no example fits, or the inputs have no examples in common. */
    public static List<Map<String, Tensor>> of(OnnxModel model, List<Map<String, Tensor>> data) {
        return first(data, together(model, data.getFirst(), MOST_BYTES), EXAMPLES);
    }

    /**
     * So many examples, each in a batch of its own where the model takes any batch; none where no
     * example fits, or the inputs have no examples in common.
     */
    public static List<Map<String, Tensor>> singly(
            OnnxModel model, List<Map<String, Tensor>> data, int examples) {
        int together = together(model, data.getFirst(), MOST_BYTES_SINGLY);
        return first(data, divides(model) ? Math.min(together, 1) : together, examples);
    }

    private static List<Map<String, Tensor>> first(
            List<Map<String, Tensor>> data, int together, int most) {
        var parts = new ArrayList<Map<String, Tensor>>();
        long taken = 0;
        for (Map<String, Tensor> batch : together == 0 ? List.<Map<String, Tensor>>of() : data) {
            long examples = InputBatches.examples(batch);
            for (long from = 0; from < examples && taken < most; from += together) {
                long start = from;
                long length = Math.min(together, examples - from);
                var part = new LinkedHashMap<String, Tensor>();
                batch.forEach((name, tensor) -> part.put(name, tensor.narrow(0, start, length)));
                parts.add(part);
                taken += length;
            }
        }
        return parts;
    }

    /** How many examples of a batch fit; 0 if none does, or there are none. */
    private static int together(OnnxModel model, Map<String, Tensor> batch, long mostBytes) {
        long examples = -1;
        for (Tensor tensor : batch.values()) {
            if (tensor.dim() == 0 || (examples >= 0 && tensor.size(0) != examples)) {
                return 0;
            }
            examples = tensor.size(0);
        }
        long numbers = StreamBudget.numbers(model, batch);
        double fits = Math.floor((double) mostBytes / Float.BYTES / numbers * examples);
        return divides(model)
                ? (int) Math.min(fits, examples)
                : fits >= examples ? (int) examples : 0;
    }

    /** Whether the model takes batches of any size. */
    private static boolean divides(OnnxModel model) {
        return model.graph().inputs().stream()
                .map(input -> input.getType().getTensorType().getShape())
                .allMatch(shape -> shape.getDimCount() > 0 && !shape.getDim(0).hasDimValue());
    }
}
