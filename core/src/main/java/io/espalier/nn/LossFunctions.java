package io.espalier.nn;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/** {@link Functional}'s losses: how far an output is from what was wanted, as one number. */
abstract sealed class LossFunctions extends SpatialFunctions permits Functional {
    private static final int MEAN = 1; // at::Reduction::Mean
    private static final int SUM = 2; // at::Reduction::Sum

    /** PyTorch's ignore_index: a target that counts for nothing. */
    private static final long IGNORED = -100;

    /** The mean of the squared differences. */
    public static Tensor mseLoss(Tensor input, Tensor target) {
        return unrecorded(() -> torch.mse_loss(input, target), "mse_loss", input, target);
    }

    /**
     * The cross entropy of logits [N, C, …] and classes [N, …] (64-bit) or probabilities [N, C, …].
     */
    public static Tensor crossEntropy(Tensor logits, Tensor target) {
        return crossEntropy(logits, target, null, 0);
    }

    /**
     * The cross entropy with a weight for each class [C] or {@code null}, and a share of the target
     * spread over all classes.
     */
    public static Tensor crossEntropy(
            Tensor logits, Tensor target, @Nullable Tensor weight, double labelSmoothing) {
        return unrecorded(
                () ->
                        torch.cross_entropy_loss(
                                logits, target, optional(weight), MEAN, IGNORED, labelSmoothing),
                "cross_entropy_loss",
                logits,
                target,
                weight);
    }

    /** The negative log likelihood of log probabilities [N, C, …] and classes [N, …]. */
    public static Tensor nllLoss(Tensor logProbabilities, Tensor target) {
        return unrecorded(
                () -> torch.nll_loss_nd(logProbabilities, target),
                "nll_loss_nd",
                logProbabilities,
                target);
    }

    /**
     * How unlikely texts are by what a recognizer gives step by step, whichever steps their
     * characters fall on (connectionist temporal classification: Graves et al., <a
     * href="https://doi.org/10.1145/1143844.1143891">2006</a>): for each text divided by its
     * length, as a mean over the batch. Class 0 is the blank between characters.
     *
     * @param logProbabilities [T, N, C]
     * @param targets the classes of all texts' characters, one text after the other, [S] of 64-bit
     *     integers
     * @param inputLengths how many steps of each example count, N numbers
     * @param targetLengths how many characters each text has, N numbers
     */
    public static Tensor ctcLoss(
            Tensor logProbabilities, Tensor targets, long[] inputLengths, long[] targetLengths) {
        return unrecorded(
                () ->
                        torch.ctc_loss(
                                logProbabilities,
                                targets,
                                inputLengths,
                                targetLengths,
                                0,
                                MEAN,
                                false),
                "ctc_loss.IntList",
                logProbabilities,
                targets,
                inputLengths,
                targetLengths);
    }

    /** The mean of the absolute differences. */
    public static Tensor l1Loss(Tensor input, Tensor target) {
        return unrecorded(() -> torch.l1_loss(input, target), "l1_loss", input, target);
    }

    /**
     * The mean of d²/2 where the difference d is within {@code delta}, of delta·(|d| − delta/2)
     * elsewhere.
     */
    public static Tensor huberLoss(Tensor input, Tensor target, double delta) {
        return unrecorded(
                () -> torch.huber_loss(input, target, MEAN, delta), "huber_loss", input, target);
    }

    /** The binary cross entropy of probabilities and targets in 0…1, of the same shape. */
    public static Tensor binaryCrossEntropy(Tensor probabilities, Tensor target) {
        return unrecorded(
                () -> torch.binary_cross_entropy(probabilities, target),
                "binary_cross_entropy",
                probabilities,
                target);
    }

    /** The binary cross entropy of logits and targets in 0…1, of the same shape. */
    public static Tensor binaryCrossEntropyWithLogits(Tensor logits, Tensor target) {
        return unrecorded(
                () -> torch.binary_cross_entropy_with_logits(logits, target),
                "binary_cross_entropy_with_logits",
                logits,
                target);
    }

    /**
     * The Kullback–Leibler divergence of log probabilities [N, …] from probabilities, summed and
     * over N.
     */
    public static Tensor klDivergence(Tensor logProbabilities, Tensor target) {
        return unrecorded(
                () ->
                        torch.kl_div(logProbabilities, target, SUM, false)
                                .div(new Scalar(logProbabilities.size(0))),
                "kl_div",
                logProbabilities,
                target);
    }
}
