package io.espalier.onnx.tune;

import io.espalier.nn.Module;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;

/** A classifier and its labels as one module: given a batch's number, the cross entropy. */
final class Classification extends Module {
    private final LoweredModel model;
    private final List<Map<String, Tensor>> batches;
    private final long[] labels;

    Classification(LoweredModel model, List<Map<String, Tensor>> batches, List<String> labels) {
        this.model = model;
        this.batches = batches;
        if (labels.isEmpty()) {
            throw new EspalierException(
                    "There are no labels to learn from; give them with the inputs, or a teacher.");
        }
        this.labels = labels.stream().mapToLong(Classification::number).toArray();
        add("model", model.module());
    }

    private static long number(String label) {
        try {
            return Long.parseLong(label.strip());
        } catch (NumberFormatException e) {
            throw new EspalierException(
                    "The label '"
                            + label
                            + "' is no class number; labels to learn from are numbers from 0 on.",
                    e);
        }
    }

    @Override
    protected Tensor forward(Tensor number) {
        int batch = Math.toIntExact(number.item_long());
        long first = 0;
        for (int before = 0; before < batch; before++) {
            first += CalibrationData.examples(batches.get(before));
        }
        Tensor scores = model.run(batches.get(batch)).firstEntry().getValue();
        if (scores.dim() != 2) {
            throw new EspalierException(
                    "Labels are learned by a result [N, classes]; '%s' has %d dimensions."
                            .formatted(model.outputs().getFirst(), scores.dim()));
        }
        return loss(scores, wanted(first, scores.size(0), scores.size(1))).reshape(1);
    }

    private Tensor wanted(long first, long count, long classes) {
        long[] wanted = new long[Math.toIntExact(count)];
        for (int i = 0; i < wanted.length; i++) {
            wanted[i] = labels[Math.toIntExact(first + i)];
            if (wanted[i] < 0 || wanted[i] >= classes) {
                throw new EspalierException(
                        "The label %d is no class of the model, which has %d, from 0 on."
                                .formatted(wanted[i], classes));
            }
        }
        return Tensors.of(wanted, count);
    }

    private static Tensor loss(Tensor scores, Tensor wanted) {
        return Shares.areRowsOf(scores)
                ? Losses.nll().of(scores.clamp_min(new Scalar(Shares.LEAST)).log(), wanted)
                : Losses.crossEntropy().of(scores, wanted);
    }
}
