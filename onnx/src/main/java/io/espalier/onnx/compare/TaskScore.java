package io.espalier.onnx.compare;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.run.RunningModel;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * How well two models do what they are for.
 *
 * @param metric what is counted, such as {@code "accuracy"}
 * @param reference the share of the reference's results that are right, from 0 to 1
 * @param candidate the same of the other model
 */
public record TaskScore(String metric, double reference, double candidate) {
    /** The part of the reference's share that is lost; below 0 if the other model does better. */
    public double drop() {
        return reference == candidate ? 0 : (reference - candidate) / reference;
    }

    /** Both shares in words: {@code accuracy 89.00 % -> 88.50 %}. */
    public String summary() {
        return String.format(
                Locale.ROOT, "%s %.2f %% -> %.2f %%", metric, 100 * reference, 100 * candidate);
    }

    /**
     * The share of a model's results that are right.
     *
     * @param labels at least as many as the batches have examples, in their order
     * @throws EspalierException if a result or a label is not what the task has
     */
    public static double of(
            Task task, RunningModel model, List<Map<String, Tensor>> batches, List<String> labels) {
        List<List<String>> wanted = InputBatches.labels(batches, labels);
        long right = 0;
        int seen = 0;
        for (int batch = 0; batch < batches.size(); batch++) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                Tensor result = model.runTensors(batches.get(batch)).values().iterator().next();
                right += task.right(result, wanted.get(batch));
                seen += wanted.get(batch).size();
            }
        }
        return (double) right / seen;
    }
}
