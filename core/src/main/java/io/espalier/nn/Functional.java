package io.espalier.nn;

import io.espalier.tensor.QuantizedTensors;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * The layers' mathematics as functions, PyTorch's {@code torch.nn.functional} and what a {@code
 * forward} needs of its tensor functions. Shapes are given as [N, C, …]: batch, channels, and the
 * spatial dimensions.
 *
 * <p>It is one name for several catalogues by kind, each of which extends the one before: this one
 * has the linear layers, attention, normalizations and activations.
 */
public final class Functional extends LossFunctions {
    private Functional() {}

    /** {@code x Wᵀ + b}: x [*, in], weight [out, in], bias [out] or {@code null}. */
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return computed(
                () -> torch.linear(x, weight, optional(bias)), "aten::linear", x, weight, bias);
    }

    /** The rows of {@code weight} [count, size] at {@code indices} [*]: [*, size]. */
    public static Tensor embedding(Tensor indices, Tensor weight) {
        return embedding(indices, weight, -1);
    }

    /** The rows at {@code indices}, of which the one at {@code paddingIndex} gets no gradient. */
    public static Tensor embedding(Tensor indices, Tensor weight, long paddingIndex) {
        return computed(
                () -> torch.embedding(weight, indices, paddingIndex, false, false),
                "aten::embedding",
                weight,
                indices,
                paddingIndex,
                false,
                false);
    }

    /**
     * {@code softmax(Q Kᵀ / √d + mask) V}: query [N, heads, L, d], key and value [N, heads, S, d],
     * a mask that broadcasts to [N, heads, L, S] or {@code null}; {@code dropout} is the share of
     * the weights that is dropped.
     */
    public static Tensor scaledDotProductAttention(
            Tensor query, Tensor key, Tensor value, @Nullable Tensor mask, double dropout) {
        return computed(
                () ->
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
        return computed(
                () ->
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
        return computed(
                () -> torch.layer_norm(x, shape, optional(weight), optional(bias), eps, true),
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
        return computed(
                () -> torch.group_norm(x, groups, optional(weight), optional(bias), eps, true),
                "aten::group_norm",
                x,
                groups,
                weight,
                bias,
                eps,
                true);
    }

    /**
     * x over the root of its mean square along the last dimensions, which have this shape, times
     * weight (or {@code null}).
     */
    public static Tensor rmsNorm(Tensor x, long[] shape, @Nullable Tensor weight, double eps) {
        return computed(
                () -> torch.rms_norm(x, shape, optional(weight), new DoubleOptional(eps)),
                "aten::rms_norm",
                x,
                shape,
                weight,
                eps);
    }

    /** x over its norm along a dimension; a norm below {@code eps} counts as that. */
    public static Tensor normalize(Tensor x, double order, long dim, double eps) {
        Tensor norm = norm(x, order, new long[] {dim}, true);
        return div(x, clamp(norm, eps, Double.POSITIVE_INFINITY));
    }

    /** max(x, 0). */
    public static Tensor relu(Tensor x) {
        return computed(() -> torch.relu(x), "aten::relu", x);
    }

    /** min(max(x, 0), 6). */
    public static Tensor relu6(Tensor x) {
        return computed(() -> QuantizedTensors.bounded(x, torch::relu6), "aten::relu6", x);
    }

    /** x where it is positive, {@code slope · x} elsewhere. */
    public static Tensor leakyRelu(Tensor x, double slope) {
        return computed(() -> torch.leaky_relu(x, new Scalar(slope)), "aten::leaky_relu", x, slope);
    }

    /** x where it is positive, {@code weight · x} elsewhere: x [N, C, …], weight [1] or [C]. */
    public static Tensor prelu(Tensor x, Tensor weight) {
        return computed(() -> torch.prelu(x, weight), "aten::prelu", x, weight);
    }

    /** x where it is positive, {@code alpha · (exp(x) − 1)} elsewhere. */
    public static Tensor elu(Tensor x, double alpha) {
        return computed(
                () -> torch.elu(x, new Scalar(alpha), new Scalar(1.0), new Scalar(1.0)),
                "aten::elu",
                x,
                alpha);
    }

    /** x · Φ(x), Φ being the normal distribution function. */
    public static Tensor gelu(Tensor x) {
        return computed(() -> torch.gelu(x), "aten::gelu", x);
    }

    /** {@link #gelu} approximated by tanh. */
    public static Tensor geluTanh(Tensor x) {
        return computed(() -> torch.gelu(x, "tanh"), "aten::gelu", x, "tanh");
    }

    /** x · sigmoid(x). */
    public static Tensor silu(Tensor x) {
        return computed(() -> torch.silu(x), "aten::silu", x);
    }

    /** x · min(max(x + 3, 0), 6) / 6. */
    public static Tensor hardswish(Tensor x) {
        return computed(() -> torch.hardswish(x), "aten::hardswish", x);
    }

    /** min(max(x + 3, 0), 6) / 6. */
    public static Tensor hardsigmoid(Tensor x) {
        return computed(() -> torch.hardsigmoid(x), "aten::hardsigmoid", x);
    }

    /** 1 / (1 + exp(−x)). */
    public static Tensor sigmoid(Tensor x) {
        return computed(() -> torch.sigmoid(x), "aten::sigmoid", x);
    }

    /** The hyperbolic tangent. */
    public static Tensor tanh(Tensor x) {
        return computed(() -> torch.tanh(x), "aten::tanh", x);
    }

    /** log(1 + exp(βx)) / β, and x itself where βx is above the threshold. */
    public static Tensor softplus(Tensor x, double beta, double threshold) {
        return computed(
                () -> torch.softplus(x, new Scalar(beta), new Scalar(threshold)),
                "aten::softplus",
                x,
                beta,
                threshold);
    }

    /** x · tanh(log(1 + exp(x))). */
    public static Tensor mish(Tensor x) {
        return computed(() -> torch.mish(x), "aten::mish", x);
    }

    /** x cut off at both ends. */
    public static Tensor hardtanh(Tensor x, double min, double max) {
        return computed(
                () ->
                        QuantizedTensors.bounded(
                                x, y -> torch.hardtanh(y, new Scalar(min), new Scalar(max))),
                "aten::hardtanh",
                x,
                min,
                max);
    }

    /** {@link #elu} with the constants that keep a network's activations normal. */
    public static Tensor selu(Tensor x) {
        return computed(() -> torch.selu(x), "aten::selu", x);
    }

    /** The logarithm of {@link #sigmoid}, computed without its rounding. */
    public static Tensor logSigmoid(Tensor x) {
        return computed(() -> torch.log_sigmoid(x), "aten::log_sigmoid", x);
    }

    /** The first half along a dimension times {@link #sigmoid} of the second. */
    public static Tensor glu(Tensor x, long dim) {
        return computed(() -> torch.glu(x, dim), "aten::glu", x, dim);
    }

    /** exp(x) over its sum along {@code dim}. */
    public static Tensor softmax(Tensor x, long dim) {
        return computed(() -> torch.softmax(x, dim), "aten::softmax.int", x, dim);
    }

    /** The logarithm of {@link #softmax}, computed without its rounding. */
    public static Tensor logSoftmax(Tensor x, long dim) {
        return computed(() -> torch.log_softmax(x, dim), "aten::log_softmax.int", x, dim);
    }

    /**
     * In training, each element 0 with probability {@code p}, else over (1 − p); x itself
     * otherwise.
     */
    public static Tensor dropout(Tensor x, double p, boolean training) {
        return unrecorded(
                () -> training ? torch.dropout(x, p, true) : x, "dropout", x, p, training);
    }
}
