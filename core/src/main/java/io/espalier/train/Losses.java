package io.espalier.train;

import io.espalier.nn.Functional;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/** The usual losses, each the mean over the batch as PyTorch's of the same name. */
public final class Losses {
    private Losses() {}

    /**
     * Softmax and negative logarithm of the right class's share, as PyTorch's {@code
     * CrossEntropyLoss}: output [N, C, …] of scores, target [N, …] of class numbers (64-bit
     * integers; −100 is left out) or [N, C, …] of probabilities.
     */
    public static Loss crossEntropy() {
        return crossEntropy(0);
    }

    /**
     * Cross entropy against softened targets: {@code smoothing} of the probability is spread evenly
     * over all classes (Szegedy et al., <a href="https://arxiv.org/abs/1512.00567">Rethinking the
     * Inception Architecture</a>, 2016).
     *
     * @throws EspalierException if {@code smoothing} is not from 0 to 1
     */
    public static Loss crossEntropy(double smoothing) {
        Settings.requireShare("Label smoothing", smoothing);
        return named(
                "crossEntropy",
                (output, target) -> Functional.crossEntropy(output, target, null, smoothing));
    }

    /** The negative of the right class's output: output [N, C, …] of log-probabilities. */
    public static Loss nll() {
        return named("nll", Functional::nllLoss);
    }

    /** The mean squared difference: output and target of one shape. */
    public static Loss mse() {
        return sameShape("mse", Functional::mseLoss);
    }

    /** The mean absolute difference: output and target of one shape. */
    public static Loss l1() {
        return sameShape("l1", Functional::l1Loss);
    }

    /**
     * Squared below a difference of {@code delta} and linear above (Huber, 1964), as PyTorch's
     * {@code HuberLoss}: output and target of one shape.
     *
     * @throws EspalierException if {@code delta} is not above 0
     */
    public static Loss huber(double delta) {
        Settings.requirePositive("Huber's delta", delta);
        return sameShape("huber", (output, target) -> Functional.huberLoss(output, target, delta));
    }

    /**
     * Sigmoid and binary cross entropy in one, as PyTorch's {@code BCEWithLogitsLoss}: output of
     * scores and target of probabilities (floats), of one shape.
     */
    public static Loss binaryCrossEntropyWithLogits() {
        return sameShape("binaryCrossEntropyWithLogits", Functional::binaryCrossEntropyWithLogits);
    }

    /**
     * Makes a model's scores follow a teacher's: the Kullback–Leibler divergence of both softened
     * by {@code temperature}, times its square so that gradients keep their size (Hinton et al., <a
     * href="https://arxiv.org/abs/1503.02531">Distilling the Knowledge in a Neural Network</a>,
     * 2015). Output [N, C] of scores, target [N, C] of the teacher's scores.
     *
     * @throws EspalierException if the temperature is not above 0
     */
    public static Loss distillation(double temperature) {
        Settings.requirePositive("The temperature", temperature);
        return sameShape(
                "distillation",
                (output, target) -> {
                    var cooling = new Scalar(1 / temperature);
                    Tensor student = Functional.logSoftmax(output.mul(cooling), 1);
                    Tensor teacher = Functional.logSoftmax(target.mul(cooling), 1);
                    return teacher.exp()
                            .mul(teacher.sub(student))
                            .sum()
                            .mul(new Scalar(temperature * temperature / output.size(0)));
                });
    }

    private static Loss sameShape(String name, Loss loss) {
        return named(
                name,
                (output, target) -> {
                    if (!Arrays.equals(Tensors.shape(output), Tensors.shape(target))) {
                        throw new EspalierException(
                                "The loss "
                                        + name
                                        + " needs output and target of one shape; they have "
                                        + shapes(output, target)
                                        + ".");
                    }
                    return loss.of(output, target);
                });
    }

    /** The loss, with libtorch's errors put in words. */
    private static Loss named(String name, Loss loss) {
        return (output, target) -> {
            try {
                return loss.of(output, target);
            } catch (RuntimeException e) {
                throw TensorException.in(
                        "The loss " + name + " of output and target " + shapes(output, target), e);
            }
        };
    }

    static String shapes(Tensor output, Tensor target) {
        return shape(output) + " and " + shape(target);
    }

    private static String shape(Tensor tensor) {
        return tensor.isNull() ? "(freed)" : Arrays.toString(Tensors.shape(tensor));
    }
}
