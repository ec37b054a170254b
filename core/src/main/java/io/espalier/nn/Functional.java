package io.espalier.nn;

import io.espalier.tensor.Libtorch;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
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
    private static final int SUM = 2; // at::Reduction::Sum

    /** PyTorch's ignore_index: a target that counts for nothing. */
    private static final long IGNORED = -100;

    private Functional() {}

    /** {@code x Wᵀ + b}: x [*, in], weight [out, in], bias [out] or {@code null}. */
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return torch.linear(x, weight, optional(bias));
    }

    /** The rows of {@code weight} [count, size] at {@code indices} [*]: [*, size]. */
    public static Tensor embedding(Tensor indices, Tensor weight) {
        return embedding(indices, weight, -1);
    }

    /** The rows at {@code indices}, of which the one at {@code paddingIndex} gets no gradient. */
    public static Tensor embedding(Tensor indices, Tensor weight, long paddingIndex) {
        return torch.embedding(weight, indices, paddingIndex, false, false);
    }

    /** The matrix product of the last two dimensions. */
    public static Tensor matmul(Tensor a, Tensor b) {
        return torch.matmul(a, b);
    }

    /** {@code a + b} by elements, with broadcasting. */
    public static Tensor add(Tensor a, Tensor b) {
        return torch.add(a, b);
    }

    /** {@code a · b} by elements, with broadcasting. */
    public static Tensor mul(Tensor a, Tensor b) {
        return torch.mul(a, b);
    }

    /**
     * {@code softmax(Q Kᵀ / √d + mask) V}: query [N, heads, L, d], key and value [N, heads, S, d],
     * a mask that broadcasts to [N, heads, L, S] or {@code null}; {@code dropout} is the share of
     * the weights that is dropped.
     */
    public static Tensor scaledDotProductAttention(
            Tensor query, Tensor key, Tensor value, @Nullable Tensor mask, double dropout) {
        return torch.scaled_dot_product_attention(
                query, key, value, optional(mask), dropout, false, new DoubleOptional(), false);
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

    /**
     * Normalizes over the last dimensions, which have this shape; weight and bias may be {@code
     * null}.
     */
    public static Tensor layerNorm(
            Tensor x, long[] shape, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
        return torch.layer_norm(x, shape, optional(weight), optional(bias), eps, true);
    }

    /**
     * Normalizes over groups of the channels of x [N, C, *]; weight and bias [C] may be {@code
     * null}.
     */
    public static Tensor groupNorm(
            Tensor x, long groups, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
        return torch.group_norm(x, groups, optional(weight), optional(bias), eps, true);
    }

    /** max(x, 0). */
    public static Tensor relu(Tensor x) {
        return torch.relu(x);
    }

    /** min(max(x, 0), 6). */
    public static Tensor relu6(Tensor x) {
        return torch.relu6(x);
    }

    /** x where it is positive, {@code slope · x} elsewhere. */
    public static Tensor leakyRelu(Tensor x, double slope) {
        return torch.leaky_relu(x, new Scalar(slope));
    }

    /** x where it is positive, {@code weight · x} elsewhere: x [N, C, …], weight [1] or [C]. */
    public static Tensor prelu(Tensor x, Tensor weight) {
        return torch.prelu(x, weight);
    }

    /** x where it is positive, {@code alpha · (exp(x) − 1)} elsewhere. */
    public static Tensor elu(Tensor x, double alpha) {
        return torch.elu(x, new Scalar(alpha), new Scalar(1.0), new Scalar(1.0));
    }

    /** x · Φ(x), Φ being the normal distribution function. */
    public static Tensor gelu(Tensor x) {
        return torch.gelu(x);
    }

    /** {@link #gelu} approximated by tanh. */
    public static Tensor geluTanh(Tensor x) {
        return torch.gelu(x, "tanh");
    }

    /** x · sigmoid(x). */
    public static Tensor silu(Tensor x) {
        return torch.silu(x);
    }

    /** x · min(max(x + 3, 0), 6) / 6. */
    public static Tensor hardswish(Tensor x) {
        return torch.hardswish(x);
    }

    /** min(max(x + 3, 0), 6) / 6. */
    public static Tensor hardsigmoid(Tensor x) {
        return torch.hardsigmoid(x);
    }

    /** 1 / (1 + exp(−x)). */
    public static Tensor sigmoid(Tensor x) {
        return torch.sigmoid(x);
    }

    /** The hyperbolic tangent. */
    public static Tensor tanh(Tensor x) {
        return torch.tanh(x);
    }

    /** exp(x) over its sum along {@code dim}. */
    public static Tensor softmax(Tensor x, long dim) {
        return torch.softmax(x, dim);
    }

    /** The logarithm of {@link #softmax}, computed without its rounding. */
    public static Tensor logSoftmax(Tensor x, long dim) {
        return torch.log_softmax(x, dim);
    }

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

    /** The mean under a window moved over x [N, C, L]. */
    public static Tensor avgPool1d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            boolean ceilMode,
            boolean countIncludePad) {
        return torch.avg_pool1d(x, kernel, stride, padding, ceilMode, countIncludePad);
    }

    /** The mean under a window moved over x [N, C, H, W]. */
    public static Tensor avgPool2d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            boolean ceilMode,
            boolean countIncludePad) {
        return torch.avg_pool2d(
                x, kernel, stride, padding, ceilMode, countIncludePad, new LongOptional());
    }

    /** The mean of x [N, C, L] over as many windows as the output is to have elements. */
    public static Tensor adaptiveAvgPool1d(Tensor x, long outputSize) {
        return torch.adaptive_avg_pool1d(x, outputSize);
    }

    /** The mean of x [N, C, H, W] over as many windows as the output is to have elements. */
    public static Tensor adaptiveAvgPool2d(Tensor x, long... outputSize) {
        return torch.adaptive_avg_pool2d(x, outputSize);
    }

    /**
     * x [N, C, L] or [N, C, H, W] made larger or smaller.
     *
     * @param size the output's size along each spatial dimension
     * @param factors the factors that led to the size, which then place the samples; or none
     * @param mode how values are found
     * @param alignCorners whether the corners' centres stay in place
     */
    public static Tensor interpolate(
            Tensor x, long[] size, double[] factors, Upsample.Mode mode, boolean alignCorners) {
        DoubleOptional first =
                factors.length > 0 ? new DoubleOptional(factors[0]) : new DoubleOptional();
        DoubleOptional second =
                factors.length > 1 ? new DoubleOptional(factors[1]) : new DoubleOptional();
        return switch (mode) {
            case NEAREST ->
                    size.length == 1
                            ? torch.upsample_nearest1d(x, size, first)
                            : torch.upsample_nearest2d(x, size, first, second);
            case LINEAR -> torch.upsample_linear1d(x, size, alignCorners, first);
            case BILINEAR -> torch.upsample_bilinear2d(x, size, alignCorners, first, second);
            case BICUBIC -> torch.upsample_bicubic2d(x, size, alignCorners, first, second);
        };
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

    /** The mean of the absolute differences. */
    public static Tensor l1Loss(Tensor input, Tensor target) {
        return torch.l1_loss(input, target);
    }

    /**
     * The mean of d²/2 where the difference d is within {@code delta}, of delta·(|d| − delta/2)
     * elsewhere.
     */
    public static Tensor huberLoss(Tensor input, Tensor target, double delta) {
        return torch.huber_loss(input, target, MEAN, delta);
    }

    /** The binary cross entropy of probabilities and targets in 0…1, of the same shape. */
    public static Tensor binaryCrossEntropy(Tensor probabilities, Tensor target) {
        return torch.binary_cross_entropy(probabilities, target);
    }

    /** The binary cross entropy of logits and targets in 0…1, of the same shape. */
    public static Tensor binaryCrossEntropyWithLogits(Tensor logits, Tensor target) {
        return torch.binary_cross_entropy_with_logits(logits, target);
    }

    /**
     * The Kullback–Leibler divergence of log probabilities [N, …] from probabilities, summed and
     * over N.
     */
    public static Tensor klDivergence(Tensor logProbabilities, Tensor target) {
        return torch.kl_div(logProbabilities, target, SUM, false)
                .div(new Scalar(logProbabilities.size(0)));
    }

    private static TensorOptional optional(@Nullable Tensor tensor) {
        return tensor == null ? new TensorOptional() : new TensorOptional(tensor);
    }
}
