package io.espalier.onnx.tune;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.inputs.Shares;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How far a student's results are from its teacher's, and values inside from the same of the
 * teacher's. Results that are shares of one are compared by the Kullback–Leibler divergence (Hinton
 * et al., <a href="https://arxiv.org/abs/1503.02531">Distilling the Knowledge in a Neural
 * Network</a>, 2015), all others by their squared differences relative to the teacher's squares.
 */
final class Distillation extends Objective {
    /** How much values inside count beside the results. */
    private static final double OF_VALUES = 0.5;

    private final LoweredModel student;
    private final OnnxSession teacher;
    private final Batches batches;
    private final Set<String> inside;

    /** Gives the inputs for a batch's number, and how many there were before. */
    @FunctionalInterface
    interface Batches {
        Map<String, Tensor> of(int number, long drawn);
    }

    /**
     * @param teacher gives results and values inside
     * @param inside which of the student's results are values inside of it
     */
    Distillation(
            LoweredModel student, OnnxSession teacher, Batches batches, Collection<String> inside) {
        this.student = student;
        this.teacher = teacher;
        this.batches = batches;
        this.inside = Set.copyOf(inside);
        add("student", student.module());
    }

    @Override
    Tensor loss(int number, long drawn) {
        Map<String, Tensor> batch = batches.of(number, drawn);
        Padding padding = Padding.of(batch);
        Map<String, Tensor> wanted = teacher.run(batch);
        List<Tensor> ofResults = new ArrayList<>();
        List<Tensor> ofValues = new ArrayList<>();
        student.run(batch)
                .forEach((name, found) -> {
                    Tensor target = wanted.get(name);
                    if (target != null && found.is_floating_point()) {
                        Tensor right = padding.visible(target.to(Tensors.type(found)));
                        (inside.contains(name) ? ofValues : ofResults)
                                .add(loss(name, padding.visible(found), right));
                    }
                });
        if (ofResults.isEmpty()) {
            throw new EspalierException(
                    "The teacher has no result of real numbers under a name of the model's; it"
                            + " gives "
                            + wanted.keySet()
                            + ", the model "
                            + student.outputs()
                            + ".");
        }
        Tensor results = mean(ofResults);
        return ofValues.isEmpty() ? results : results.add(beside(mean(ofValues), results));
    }

    /** In proportion: a narrow layer can't come as near to its wide one as the results can. */
    private static Tensor beside(Tensor values, Tensor results) {
        double least = Math.max(values.item_double(), Float.MIN_NORMAL);
        return values.mul(new Scalar(OF_VALUES * results.item_double() / least));
    }

    private static Tensor mean(List<Tensor> losses) {
        return torch.stack(new TensorVector(losses.toArray(Tensor[]::new))).mean();
    }

    private static Tensor loss(String name, Tensor found, Tensor target) {
        if (!Arrays.equals(Tensors.shape(found), Tensors.shape(target))) {
            throw new EspalierException(
                    "The result '%s' is %s of the model and %s of the teacher."
                            .formatted(
                                    name,
                                    Arrays.toString(Tensors.shape(found)),
                                    Arrays.toString(Tensors.shape(target))));
        }
        if (Shares.areRowsOf(target)) {
            Tensor shares = target.clamp_min(new Scalar(Shares.LEAST));
            Tensor own = found.clamp_min(new Scalar(Shares.LEAST));
            long rows = target.numel() / target.size(-1);
            return shares.mul(shares.log().sub(own.log())).sum().div(new Scalar((double) rows));
        }
        Tensor squares = target.square().mean().clamp_min(new Scalar(Float.MIN_NORMAL));
        return found.sub(target).square().mean().div(squares);
    }
}
