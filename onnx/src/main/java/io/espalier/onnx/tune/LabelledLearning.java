package io.espalier.onnx.tune;

import io.espalier.nn.Functional;
import io.espalier.nn.Module;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.run.RunningModel;
import io.espalier.onnx.tune.BestFile.Loss;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/**
 * A model and its labels as one module: given a batch's number, how far the model's first result is
 * from what the labels say. Classes are learned by the cross entropy, texts by connectionist
 * temporal classification.
 */
final class LabelledLearning extends Module {
    private final LoweredModel model;
    private final List<Map<String, Tensor>> batches;
    private final List<List<String>> labels = new ArrayList<>();
    private final Task task;

    LabelledLearning(
            LoweredModel model, List<Map<String, Tensor>> batches, Task task, List<String> all) {
        this.model = model;
        this.batches = batches;
        this.task = task;
        int seen = 0;
        for (Map<String, Tensor> batch : batches) {
            int next = seen + Math.toIntExact(InputBatches.examples(batch));
            labels.add(all.subList(seen, next));
            seen = next;
        }
        add("model", model.module());
    }

    @Override
    protected Tensor forward(Tensor number) {
        int batch = Math.toIntExact(number.item_long());
        Tensor result = model.run(batches.get(batch)).firstEntry().getValue();
        return loss(task, result, labels.get(batch)).reshape(1);
    }

    private static Tensor loss(Task task, Tensor result, List<String> labels) {
        return switch (task) {
            case Task.Classes classes -> classLoss(classes, result, labels);
            case Task.Texts texts -> textLoss(texts, result, labels);
        };
    }

    /** The share of wrong results that a model gives, and how far they are from the labels. */
    static Loss loss(
            Task task, RunningModel model, List<Map<String, Tensor>> batches, List<String> labels) {
        double wrong = 0;
        double sum = 0;
        int seen = 0;
        for (Map<String, Tensor> batch : batches) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                int next = seen + Math.toIntExact(InputBatches.examples(batch));
                List<String> wanted = labels.subList(seen, next);
                Tensor result = model.runTensors(batch).values().iterator().next();
                wrong += wanted.size() - task.right(result, wanted);
                sum +=
                        loss(task, result.to(ScalarType.Float), wanted).item_double()
                                * wanted.size();
                seen = next;
            }
        }
        return new Loss(wrong / seen, sum / seen);
    }

    private static Tensor classLoss(Task.Classes task, Tensor scores, List<String> labels) {
        Tensor wanted = Tensors.of(task.numbers(scores, labels), labels.size());
        return Shares.areRowsOf(scores)
                ? Losses.nll().of(logarithms(scores), wanted)
                : Losses.crossEntropy().of(scores, wanted);
    }

    private static Tensor textLoss(Task.Texts task, Tensor result, List<String> labels) {
        Tensor scores = task.steps(result, labels.size());
        Tensor logs =
                Shares.areRowsOf(scores) ? logarithms(scores) : Functional.logSoftmax(scores, 2);
        List<Long> wanted = new ArrayList<>();
        List<Long> lengths = new ArrayList<>();
        for (String label : labels) {
            long[] codes = task.codes(label, scores.size(1), scores.size(2));
            for (long code : codes) {
                wanted.add(code);
            }
            lengths.add((long) codes.length);
        }
        return Functional.ctcLoss(
                logs.transpose(0, 1),
                Tensors.of(array(wanted), wanted.size()),
                array(Collections.nCopies(labels.size(), scores.size(1))),
                array(lengths));
    }

    private static Tensor logarithms(Tensor shares) {
        return shares.clamp_min(new Scalar(Shares.LEAST)).log();
    }

    private static long[] array(List<Long> numbers) {
        return numbers.stream().mapToLong(Long::longValue).toArray();
    }
}
