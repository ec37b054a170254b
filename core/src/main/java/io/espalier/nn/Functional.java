package io.espalier.nn;

import io.espalier.tensor.Libtorch;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * The layers' mathematics as functions, PyTorch's {@code torch.nn.functional}. Shapes are given as
 * [N, C, …]: batch, channels, and the spatial dimensions.
 */
public final class Functional {
    static {
        Libtorch.start();
    }

    private static final int MEAN = 1; // at::Reduction::Mean

    /** PyTorch's ignore_index: a target that counts for nothing. */
    private static final long IGNORED = -100;

    private Functional() {}

    // ---- linear maps

    /** {@code x Wᵀ + b}: x [*, in], weight [out, in], bias [out] or {@code null}. */
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return torch.linear(x, weight, optional(bias));
    }

    /** The rows of {@code weight} [count, size] at {@code indices} [*]: [*, size]. */
    public static Tensor embedding(Tensor indices, Tensor weight) {
        return torch.embedding(weight, indices);
    }

    /** {@link #conv2d(Tensor, Tensor, Tensor, long[], long[], long[], long)} over [N, C, L]. */
    public static Tensor conv1d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return torch.conv1d(x, weight, optional(bias), stride, padding, dilation, groups);
    }

    /**
     * A convolution: x [N, C, H, W], weight [out, C/groups, kH, kW], bias [out] or {@code null};
     * stride, padding and dilation one number for both dimensions or one for each.
     */
    public static Tensor conv2d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return torch.conv2d(x, weight, optional(bias), stride, padding, dilation, groups);
    }

    /**
     * {@link #conv2d(Tensor, Tensor, Tensor, long[], long[], long[], long)} over [N, C, D, H, W].
     */
    public static Tensor conv3d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return torch.conv3d(x, weight, optional(bias), stride, padding, dilation, groups);
    }

    /** The convolution of as many dimensions as the weight has. */
    static Tensor conv(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return switch (stride.length) {
            case 1 -> conv1d(x, weight, bias, stride, padding, dilation, groups);
            case 2 -> conv2d(x, weight, bias, stride, padding, dilation, groups);
            default -> conv3d(x, weight, bias, stride, padding, dilation, groups);
        };
    }

    /**
     * A transposed convolution of one, two or three dimensions, as many as {@code stride} has: x
     * [N, C, …], weight [C, out/groups, …], bias [out] or {@code null}.
     */
    public static Tensor convTranspose(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] outputPadding,
            long groups,
            long[] dilation) {
        TensorOptional b = optional(bias);
        return switch (stride.length) {
            case 1 ->
                    torch.conv_transpose1d(
                            x, weight, b, stride, padding, outputPadding, groups, dilation);
            case 2 ->
                    torch.conv_transpose2d(
                            x, weight, b, stride, padding, outputPadding, groups, dilation);
            default ->
                    torch.conv_transpose3d(
                            x, weight, b, stride, padding, outputPadding, groups, dilation);
        };
    }

    /** Pads {@code x}: two numbers for each dimension, the last dimension first. */
    public static Tensor pad(Tensor x, long[] sides, PaddingMode mode) {
        String name = mode == PaddingMode.ZEROS ? "constant" : mode.toString();
        return torch.pad(x, sides, name, new DoubleOptional());
    }

    // ---- normalization

    /**
     * Each channel of x [N, C, …] less its mean, by its deviation, times weight [C] plus bias [C]
     * ({@code null}: 1 and 0). In training the batch's own statistics are used and move the running
     * ones (if not {@code null}) by {@code momentum}; otherwise the running ones are used.
     */
    public static Tensor batchNorm(
            Tensor x,
            @Nullable Tensor runningMean,
            @Nullable Tensor runningVar,
            @Nullable Tensor weight,
            @Nullable Tensor bias,
            boolean training,
            double momentum,
            double eps) {
        return torch.batch_norm(
                x,
                optional(weight),
                optional(bias),
                optional(runningMean),
                optional(runningVar),
                training,
                momentum,
                eps,
                true);
    }

    // ---- activations

    /** max(x, 0). */
    public static Tensor relu(Tensor x) {
        return torch.relu(x);
    }

    /** exp(x) over its sum along {@code dim}. */
    public static Tensor softmax(Tensor x, long dim) {
        return torch.softmax(x, dim);
    }

    /** The logarithm of {@link #softmax}, computed without its rounding. */
    public static Tensor logSoftmax(Tensor x, long dim) {
        return torch.log_softmax(x, dim);
    }

    // ---- pooling and shape

    /** The maximum under a window moved over x [N, C, H, W]. */
    public static Tensor maxPool2d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            long[] dilation,
            boolean ceilMode) {
        return torch.max_pool2d(x, kernel, stride, padding, dilation, ceilMode);
    }

    /** The maximum under a window moved over x [N, C, L]. */
    public static Tensor maxPool1d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            long[] dilation,
            boolean ceilMode) {
        return torch.max_pool1d(x, kernel, stride, padding, dilation, ceilMode);
    }

    /** The mean of x [N, C, H, W] over as many windows as the output is to have elements. */
    public static Tensor adaptiveAvgPool2d(Tensor x, long... outputSize) {
        return torch.adaptive_avg_pool2d(x, outputSize);
    }

    /**
     * The dimensions from {@code startDim} to {@code endDim} as one; negative ones count from the
     * end.
     */
    public static Tensor flatten(Tensor x, long startDim, long endDim) {
        return torch.flatten(x, startDim, endDim);
    }

    /** Tensors one after another along {@code dim}. */
    public static Tensor cat(Iterable<Tensor> tensors, long dim) {
        var vector = new TensorVector();
        tensors.forEach(vector::push_back);
        return torch.cat(vector, dim);
    }

    /**
     * In training, each element 0 with probability {@code p}, else over (1 − p); x itself
     * otherwise.
     */
    public static Tensor dropout(Tensor x, double p, boolean training) {
        return training ? torch.dropout(x, p, true) : x;
    }

    // ---- losses, each the mean over the batch

    /** The mean of the squared differences. */
    public static Tensor mseLoss(Tensor input, Tensor target) {
        return torch.mse_loss(input, target);
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
        return torch.cross_entropy_loss(
                logits, target, optional(weight), MEAN, IGNORED, labelSmoothing);
    }

    /** The negative log likelihood of log probabilities [N, C, …] and classes [N, …]. */
    public static Tensor nllLoss(Tensor logProbabilities, Tensor target) {
        return torch.nll_loss_nd(logProbabilities, target);
    }

    private static TensorOptional optional(@Nullable Tensor tensor) {
        return tensor == null ? new TensorOptional() : new TensorOptional(tensor);
    }
}
