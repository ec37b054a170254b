package io.espalier.onnx.quant;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The batches that a model is fitted to, held while that lasts. */
public final class CalibrationData implements AutoCloseable {
    /** How many examples biases and ranges can be found from. */
    static final long ENOUGH = 64;

    /** How many examples weights can be fitted to: rows as many as a matrix has, and more. */
    static final long ENOUGH_FOR_FITS = 256;

    /** Values inside are many times larger than inputs, and some of them are held for all data. */
    private static final long MOST_BYTES = 64L << 20;

    private final List<Map<String, Tensor>> batches = new ArrayList<>();
    private List<String> labels = List.of();

    private CalibrationData() {}

    /**
     * Reads batches until there are so many examples, or they take much room, or no more.
     *
     * @throws EspalierException if they are not what the model takes, there are none, or they hold
     *     NaN or positive infinity
     */
    public static CalibrationData read(OnnxModel model, Inputs inputs, long mostExamples) {
        var data = new CalibrationData();
        long examples = 0;
        long bytes = 0;
        InputBatches checked = inputs.checkedFor(model);
        data.labels = checked.labels();
        boolean takesNan = model.graph().nodes().stream().anyMatch(node -> node.is("IsNaN"));
        try (InputBatches.Loop loop = checked.iterator()) {
            while (examples < mostExamples && bytes < MOST_BYTES && loop.hasNext()) {
                try (var scope = new PointerScope()) {
                    var kept = new LinkedHashMap<String, Tensor>();
                    for (Map.Entry<String, Tensor> input : loop.next().entrySet()) {
                        requireNumbers(data.batches.size() + 1, input, takesNan);
                        kept.put(input.getKey(), Tensors.keep(input.getValue().clone()));
                    }
                    data.batches.add(kept);
                    examples += InputBatches.examples(kept);
                    bytes += kept.values().stream().mapToLong(Tensor::nbytes).sum();
                }
            }
        } catch (RuntimeException e) {
            data.close();
            throw e;
        }
        if (data.batches.isEmpty()) {
            throw new EspalierException("The calibration data is empty; one batch is needed.");
        }
        return data;
    }

    /** Refuses what no range can be found of; masks may hide by negative infinity. */
    private static void requireNumbers(
            int batch, Map.Entry<String, Tensor> input, boolean takesNan) {
        Tensor values = input.getValue();
        if (!values.is_floating_point()) {
            return;
        }
        boolean nan = !takesNan && values.isnan().any().item_bool();
        boolean infinite = values.eq(new Scalar(Double.POSITIVE_INFINITY)).any().item_bool();
        if (nan || infinite) {
            throw new EspalierException(
                    "The input '%s' holds %s in batch %d of the calibration data; mend the data."
                            .formatted(input.getKey(), nan ? "NaN" : "infinity", batch));
        }
    }

    /**
     * The labels of the inputs, at least as many as there are examples here.
     *
     * @throws EspalierException if they have none
     */
    public List<String> requireLabels() {
        if (labels.isEmpty()) {
            throw new EspalierException(
                    "The inputs have no labels; give a file of them with the inputs.");
        }
        return labels;
    }

    /**
     * The labels of the inputs, at least as many as there are examples here; none if there are
     * none.
     */
    public List<String> labels() {
        return labels;
    }

    /** The batches; they are this one's. */
    public List<Map<String, Tensor>> batches() {
        return batches;
    }

    /**
     * A name for these data with models and settings that others hardly have: a hash of all that is
     * in them.
     */
    public String digest(String settings, OnnxModel... models) {
        return Digest.of(List.of(models), this, settings);
    }

    /** The first batch: what speed is measured with. */
    Map<String, Tensor> first() {
        return batches.getFirst();
    }

    @Override
    public void close() {
        batches.forEach(batch -> batch.values().forEach(Tensor::releaseReference));
        batches.clear();
    }
}
