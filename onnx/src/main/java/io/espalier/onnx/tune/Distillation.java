package io.espalier.onnx.tune;

import io.espalier.nn.Module;
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
import java.util.List;
import java.util.Map;

/**
 * A student and its teacher as one module: given a batch's number, how far the student's results
 * are from the teacher's. Results that are shares of one are compared by the Kullback–Leibler
 * divergence (Hinton et al., <a href="https://arxiv.org/abs/1503.02531">Distilling the Knowledge in
 * a Neural Network</a>, 2015), all others by their squared differences relative to the teacher's
 * squares.
 */
final class Distillation extends Module {
    private final LoweredModel student;
    private final OnnxSession teacher;
    private final List<Map<String, Tensor>> batches;

    Distillation(LoweredModel student, OnnxSession teacher, List<Map<String, Tensor>> batches) {
        this.student = student;
        this.teacher = teacher;
        this.batches = batches;
        add("student", student.module());
    }

    @Override
    protected Tensor forward(Tensor number) {
        Map<String, Tensor> batch = batches.get(Math.toIntExact(number.item_long()));
        Map<String, Tensor> wanted = teacher.run(batch);
        List<Tensor> losses = new ArrayList<>();
        student.run(batch)
                .forEach((name, found) -> {
                    Tensor target = wanted.get(name);
                    if (target != null && found.is_floating_point()) {
                        losses.add(loss(name, found, target.to(Tensors.type(found))));
                    }
                });
        if (losses.isEmpty()) {
            throw new EspalierException(
                    "The teacher has no result of real numbers under a name of the model's; it"
                            + " gives "
                            + wanted.keySet()
                            + ", the model "
                            + student.outputs()
                            + ".");
        }
        return torch.stack(new TensorVector(losses.toArray(Tensor[]::new))).mean().reshape(1);
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
