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
     * So many examples, each in a batch of its own where the model takes any batch; whole batches
     * where the inputs have no examples in common. None where none fits.
     */
    public static List<Map<String, Tensor>> singly(
            OnnxModel model, List<Map<String, Tensor>> data, int examples) {
        if (data.stream().anyMatch(batch -> !haveExamples(batch))) {
            return data.stream()
                    .filter(batch -> fitting(model, batch, MOST_BYTES_SINGLY) >= 1)
                    .limit(examples)
                    .toList();
        }
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
        if (!haveExamples(batch)) {
            return 0;
        }
        long examples = InputBatches.examples(batch);
        double fits = Math.floor(fitting(model, batch, mostBytes) * examples);
        return divides(model)
                ? (int) Math.min(fits, examples)
                : fits >= examples ? (int) examples : 0;
    }

    /** How many batches like this one fit. */
    private static double fitting(OnnxModel model, Map<String, Tensor> batch, long mostBytes) {
        return (double) mostBytes / Float.BYTES / StreamBudget.numbers(model, batch);
    }

    /** Whether the first dimension of all inputs counts the same. */
    private static boolean haveExamples(Map<String, Tensor> batch) {
        long examples = InputBatches.examples(batch);
        return batch.values().stream()
                .allMatch(tensor -> tensor.dim() > 0 && tensor.size(0) == examples);
    }

    /** Whether the model takes batches of any size. */
    private static boolean divides(OnnxModel model) {
        return model.graph().inputs().stream()
                .map(input -> input.getType().getTensorType().getShape())
                .allMatch(shape -> shape.getDimCount() > 0 && !shape.getDim(0).hasDimValue());
    }
}
