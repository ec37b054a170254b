package io.espalier.nn;

import io.espalier.tensor.Libtorch;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

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
        return recorded(torch.linear(x, weight, optional(bias)), "aten::linear", x, weight, bias);
    }

    /** The rows of {@code weight} [count, size] at {@code indices} [*]: [*, size]. */
    public static Tensor embedding(Tensor indices, Tensor weight) {
        return embedding(indices, weight, -1);
    }

    /** The rows at {@code indices}, of which the one at {@code paddingIndex} gets no gradient. */
    public static Tensor embedding(Tensor indices, Tensor weight, long paddingIndex) {
        return recorded(
                torch.embedding(weight, indices, paddingIndex, false, false),
                "aten::embedding",
                weight,
                indices,
                paddingIndex,
                false,
                false);
    }

    /** The matrix product of the last two dimensions. */
    public static Tensor matmul(Tensor a, Tensor b) {
        return recorded(torch.matmul(a, b), "aten::matmul", a, b);
    }

    /** {@code a + b} by elements, with broadcasting. */
    public static Tensor add(Tensor a, Tensor b) {
        return recorded(torch.add(a, b), "aten::add.Tensor", a, b);
    }

    /** {@code a · b} by elements, with broadcasting. */
    public static Tensor mul(Tensor a, Tensor b) {
        return recorded(torch.mul(a, b), "aten::mul.Tensor", a, b);
    }

    /** The difference by elements, with broadcasting. */
    public static Tensor sub(Tensor a, Tensor b) {
        return recorded(torch.sub(a, b), "aten::sub.Tensor", a, b);
    }

    /** The quotient by elements, with broadcasting. */
    public static Tensor div(Tensor a, Tensor b) {
        return recorded(torch.div(a, b), "aten::div.Tensor", a, b);
    }

    /** {@code a + number}, by elements. */
    public static Tensor add(Tensor a, double number) {
        return recorded(torch.add(a, new Scalar(number)), "aten::add.Scalar", a, number);
    }

    /** {@code a · number}, by elements. */
    public static Tensor mul(Tensor a, double number) {
        return recorded(torch.mul(a, new Scalar(number)), "aten::mul.Scalar", a, number);
    }

    /** The values cut off at both ends. */
    public static Tensor clamp(Tensor x, double min, double max) {
        return recorded(
                torch.clamp(
                        x,
                        new ScalarOptional(new Scalar(min)),
                        new ScalarOptional(new Scalar(max))),
                "aten::clamp",
                x,
                min,
                max);
    }

    /** The mean along dimensions, which have length 1 afterwards or, without keepDim, are gone. */
    public static Tensor mean(Tensor x, long[] dims, boolean keepDim) {
        return recorded(
                torch.mean(x, dims, keepDim, new ScalarTypeOptional()),
                "aten::mean.dim",
                x,
                dims,
                keepDim);
    }

    /** The same elements in another shape; one length may be −1, which the others determine. */
    public static Tensor reshape(Tensor x, long... shape) {
        return recorded(torch.reshape(x, shape), "aten::reshape", x, shape);
    }

    /** Two dimensions swapped. */
    public static Tensor transpose(Tensor x, long dim0, long dim1) {
        return recorded(torch.transpose(x, dim0, dim1), "aten::transpose.int", x, dim0, dim1);
    }

    /** The dimensions in another order. */
    public static Tensor permute(Tensor x, long... dims) {
        return recorded(torch.permute(x, dims), "aten::permute", x, dims);
    }

    /** A dimension of length 1 put in. */
    public static Tensor unsqueeze(Tensor x, long dim) {
        return recorded(torch.unsqueeze(x, dim), "aten::unsqueeze", x, dim);
    }

    /** A dimension of length 1 taken out. */
    public static Tensor squeeze(Tensor x, long dim) {
        return recorded(torch.squeeze(x, dim), "aten::squeeze.dim", x, dim);
    }

    /** The elements {@code start … start + length − 1} along a dimension. */
    public static Tensor narrow(Tensor x, long dim, long start, long length) {
        return recorded(torch.narrow(x, dim, start, length), "aten::narrow", x, dim, start, length);
    }

    /**
     * {@code softmax(Q Kᵀ / √d + mask) V}: query [N, heads, L, d], key and value [N, heads, S, d],
     * a mask that broadcasts to [N, heads, L, S] or {@code null}; {@code dropout} is the share of
     * the weights that is dropped.
     */
    public static Tensor scaledDotProductAttention(
            Tensor query, Tensor key, Tensor value, @Nullable Tensor mask, double dropout) {
        return recorded(
                torch.scaled_dot_product_attention(
                        query,
                        key,
                        value,
                        optional(mask),
                        dropout,
                        false,
                        new DoubleOptional(),
                        false),
                "aten::scaled_dot_product_attention",
                query,
                key,
                value,
                mask,
                dropout,
                false);
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
        return conv(1, x, weight, bias, stride, padding, dilation, groups);
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
        return conv(2, x, weight, bias, stride, padding, dilation, groups);
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
        return conv(3, x, weight, bias, stride, padding, dilation, groups);
    }

    /** The convolution of this many dimensions. */
    static Tensor conv(
            int rank,
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        TensorOptional b = optional(bias);
        Tensor result =
                switch (rank) {
                    case 1 -> torch.conv1d(x, weight, b, stride, padding, dilation, groups);
                    case 2 -> torch.conv2d(x, weight, b, stride, padding, dilation, groups);
                    default -> torch.conv3d(x, weight, b, stride, padding, dilation, groups);
                };
        return recorded(
                result,
                "aten::conv" + rank + "d",
                x,
                weight,
                bias,
                stride,
                padding,
                dilation,
                groups);
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
        int rank = stride.length;
        Tensor result =
                switch (rank) {
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
        return recorded(
                result,
                "aten::conv_transpose" + rank + "d" + (rank == 1 ? "" : ".input"),
                x,
                weight,
                bias,
                stride,
                padding,
                outputPadding,
                groups,
                dilation);
    }

    /** Pads {@code x}: two numbers for each dimension, the last dimension first. */
    public static Tensor pad(Tensor x, long[] sides, PaddingMode mode) {
        String name = mode == PaddingMode.ZEROS ? "constant" : mode.toString();
        return recorded(
                torch.pad(x, sides, name, new DoubleOptional()), "aten::pad", x, sides, name);
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
        return recorded(
                torch.batch_norm(
                        x,
                        optional(weight),
                        optional(bias),
                        optional(runningMean),
                        optional(runningVar),
                        training,
                        momentum,
                        eps,
                        true),
                "aten::batch_norm",
                x,
                weight,
                bias,
                runningMean,
                runningVar,
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
        return recorded(
                torch.layer_norm(x, shape, optional(weight), optional(bias), eps, true),
                "aten::layer_norm",
                x,
                shape,
                weight,
                bias,
                eps,
                true);
    }

    /**
     * Normalizes over groups of the channels of x [N, C, *]; weight and bias [C] may be {@code
     * null}.
     */
    public static Tensor groupNorm(
            Tensor x, long groups, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
        return recorded(
                torch.group_norm(x, groups, optional(weight), optional(bias), eps, true),
                "aten::group_norm",
                x,
                groups,
                weight,
                bias,
                eps,
                true);
    }

    /** max(x, 0). */
    public static Tensor relu(Tensor x) {
        return recorded(torch.relu(x), "aten::relu", x);
    }

    /** min(max(x, 0), 6). */
    public static Tensor relu6(Tensor x) {
        return recorded(torch.relu6(x), "aten::relu6", x);
    }

    /** x where it is positive, {@code slope · x} elsewhere. */
    public static Tensor leakyRelu(Tensor x, double slope) {
        return recorded(torch.leaky_relu(x, new Scalar(slope)), "aten::leaky_relu", x, slope);
    }

    /** x where it is positive, {@code weight · x} elsewhere: x [N, C, …], weight [1] or [C]. */
    public static Tensor prelu(Tensor x, Tensor weight) {
        return recorded(torch.prelu(x, weight), "aten::prelu", x, weight);
    }

    /** x where it is positive, {@code alpha · (exp(x) − 1)} elsewhere. */
    public static Tensor elu(Tensor x, double alpha) {
        return recorded(
                torch.elu(x, new Scalar(alpha), new Scalar(1.0), new Scalar(1.0)),
                "aten::elu",
                x,
                alpha);
    }

    /** x · Φ(x), Φ being the normal distribution function. */
    public static Tensor gelu(Tensor x) {
        return recorded(torch.gelu(x), "aten::gelu", x);
    }

    /** {@link #gelu} approximated by tanh. */
    public static Tensor geluTanh(Tensor x) {
        return recorded(torch.gelu(x, "tanh"), "aten::gelu", x, "tanh");
    }

    /** x · sigmoid(x). */
    public static Tensor silu(Tensor x) {
        return recorded(torch.silu(x), "aten::silu", x);
    }

    /** x · min(max(x + 3, 0), 6) / 6. */
    public static Tensor hardswish(Tensor x) {
        return recorded(torch.hardswish(x), "aten::hardswish", x);
    }

    /** min(max(x + 3, 0), 6) / 6. */
    public static Tensor hardsigmoid(Tensor x) {
        return recorded(torch.hardsigmoid(x), "aten::hardsigmoid", x);
    }

    /** 1 / (1 + exp(−x)). */
    public static Tensor sigmoid(Tensor x) {
        return recorded(torch.sigmoid(x), "aten::sigmoid", x);
    }

    /** The hyperbolic tangent. */
    public static Tensor tanh(Tensor x) {
        return recorded(torch.tanh(x), "aten::tanh", x);
    }

    /** exp(x) over its sum along {@code dim}. */
    public static Tensor softmax(Tensor x, long dim) {
        return recorded(torch.softmax(x, dim), "aten::softmax.int", x, dim);
    }

    /** The logarithm of {@link #softmax}, computed without its rounding. */
    public static Tensor logSoftmax(Tensor x, long dim) {
        return recorded(torch.log_softmax(x, dim), "aten::log_softmax.int", x, dim);
    }

    /** The maximum under a window moved over x [N, C, H, W]. */
    public static Tensor maxPool2d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            long[] dilation,
            boolean ceilMode) {
        return recorded(
                torch.max_pool2d(x, kernel, stride, padding, dilation, ceilMode),
                "aten::max_pool2d",
                x,
                kernel,
                stride,
                padding,
                dilation,
                ceilMode);
    }

    /** The maximum under a window moved over x [N, C, L]. */
    public static Tensor maxPool1d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            long[] dilation,
            boolean ceilMode) {
        return recorded(
                torch.max_pool1d(x, kernel, stride, padding, dilation, ceilMode),
                "aten::max_pool1d",
                x,
                kernel,
                stride,
                padding,
                dilation,
                ceilMode);
    }

    /** The mean under a window moved over x [N, C, L]. */
    public static Tensor avgPool1d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            boolean ceilMode,
            boolean countIncludePad) {
        return recorded(
                torch.avg_pool1d(x, kernel, stride, padding, ceilMode, countIncludePad),
                "aten::avg_pool1d",
                x,
                kernel,
                stride,
                padding,
                ceilMode,
                countIncludePad);
    }

    /** The mean under a window moved over x [N, C, H, W]. */
    public static Tensor avgPool2d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            boolean ceilMode,
            boolean countIncludePad) {
        return recorded(
                torch.avg_pool2d(
                        x, kernel, stride, padding, ceilMode, countIncludePad, new LongOptional()),
                "aten::avg_pool2d",
                x,
                kernel,
                stride,
                padding,
                ceilMode,
                countIncludePad);
    }

    /** The mean of x [N, C, L] over as many windows as the output is to have elements. */
    public static Tensor adaptiveAvgPool1d(Tensor x, long outputSize) {
        return recorded(
                torch.adaptive_avg_pool1d(x, outputSize),
                "aten::adaptive_avg_pool1d",
                x,
                new long[] {outputSize});
    }

    /** The mean of x [N, C, H, W] over as many windows as the output is to have elements. */
    public static Tensor adaptiveAvgPool2d(Tensor x, long... outputSize) {
        return recorded(
                torch.adaptive_avg_pool2d(x, outputSize),
                "aten::adaptive_avg_pool2d",
                x,
                outputSize);
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
        Tensor result =
                switch (mode) {
                    case NEAREST ->
                            size.length == 1
                                    ? torch.upsample_nearest1d(x, size, first)
                                    : torch.upsample_nearest2d(x, size, first, second);
                    case LINEAR -> torch.upsample_linear1d(x, size, alignCorners, first);
                    case BILINEAR ->
                            torch.upsample_bilinear2d(x, size, alignCorners, first, second);
                    case BICUBIC -> torch.upsample_bicubic2d(x, size, alignCorners, first, second);
                };
        // Factors are recorded without the size, which follows from each input's own.
        boolean fixed = factors.length == 0;
        List<@Nullable Object> arguments = new ArrayList<>();
        arguments.add(x);
        arguments.add(fixed ? size : null);
        if (mode != Upsample.Mode.NEAREST) {
            arguments.add(alignCorners);
        }
        if (fixed) {
            arguments.addAll(Collections.nCopies(size.length, null));
        } else {
            arguments.add(Arrays.stream(factors).boxed().toList());
        }
        String operator = "aten::upsample_" + mode + size.length + "d" + (fixed ? "" : ".vec");
        return recorded(result, operator, arguments.toArray());
    }

    /**
     * The dimensions from {@code startDim} to {@code endDim} as one; negative ones count from the
     * end.
     */
    public static Tensor flatten(Tensor x, long startDim, long endDim) {
        return recorded(
                torch.flatten(x, startDim, endDim),
                "aten::flatten.using_ints",
                x,
                startDim,
                endDim);
    }

    /** Tensors one after another along {@code dim}. */
    public static Tensor cat(Iterable<Tensor> tensors, long dim) {
        var vector = new TensorVector();
        List<Tensor> list = new ArrayList<>();
        for (Tensor tensor : tensors) {
            vector.push_back(tensor);
            list.add(tensor);
        }
        return recorded(torch.cat(vector, dim), "aten::cat", list, dim);
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

    /** Tells the recorder, where one is bound, which operator gave a result. */
    private static Tensor recorded(Tensor result, String operator, @Nullable Object... arguments) {
        if (CallRecorder.CURRENT.isBound()) {
            CallRecorder.CURRENT.get().function(result, operator, Arrays.asList(arguments));
        }
        return result;
    }

    private static TensorOptional optional(@Nullable Tensor tensor) {
        return tensor == null ? new TensorOptional() : new TensorOptional(tensor);
    }
}
