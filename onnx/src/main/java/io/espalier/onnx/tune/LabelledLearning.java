package io.espalier.onnx.tune;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.run.RunningModel;
import io.espalier.onnx.tune.BestFile.Loss;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.List;
import java.util.Map;

/**
 * How far a model's first result is from what labels say. Classes are learned by the cross entropy,
 * texts by connectionist temporal classification.
 */
final class LabelledLearning extends Objective {
    private final LoweredModel model;
    private final List<Map<String, Tensor>> batches;
    private final List<List<String>> labels;
    private final Task task;

    LabelledLearning(
            LoweredModel model, List<Map<String, Tensor>> batches, Task task, List<String> all) {
        this.model = model;
        this.batches = batches;
        this.task = task;
        labels = InputBatches.labels(batches, all);
        add("model", model.module());
    }

    @Override
    Tensor loss(int batch, long drawn) {
        Tensor result = model.run(batches.get(batch)).firstEntry().getValue();
        return task.loss(result, labels.get(batch));
    }

    /** The share of wrong results that a model gives, and how far they are from the labels. */
    static Loss loss(
            Task task, RunningModel model, List<Map<String, Tensor>> batches, List<String> all) {
        List<List<String>> labels = InputBatches.labels(batches, all);
        double wrong = 0;
        double sum = 0;
        int seen = 0;
        for (int batch = 0; batch < batches.size(); batch++) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                List<String> wanted = labels.get(batch);
                Tensor result = model.runTensors(batches.get(batch)).values().iterator().next();
                wrong += wanted.size() - task.right(result, wanted);
                sum += task.loss(result.to(ScalarType.Float), wanted).item_double() * wanted.size();
                seen += wanted.size();
            }
        }
        return new Loss(wrong / seen, sum / seen);
    }
}
