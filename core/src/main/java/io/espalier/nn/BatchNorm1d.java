package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.function.UnaryOperator;

/** Normalizes each channel of [N, C] or [N, C, L]. */
public class BatchNorm1d extends BatchNorm {
    /** A layer with PyTorch's defaults: eps 1e-5, momentum 0.1, a weight and a bias. */
    public BatchNorm1d(long features) {
        this(features, options -> options);
    }

    /**
     * A layer that differs from the defaults, such as {@code o -> o.eps(1e-3)}.
     *
     * @throws EspalierException if a number is out of range
     */
    public BatchNorm1d(long features, UnaryOperator<Options> with) {
        super(features, with);
    }

    private BatchNorm1d(
            @Nullable Tensor weight,
            @Nullable Tensor bias,
            @Nullable Tensor mean,
            @Nullable Tensor var,
            UnaryOperator<Options> with) {
        super(weight, bias, mean, var, with);
    }

    /**
     * A layer of these tensors [C], which it holds as they are: weight and bias, running mean and
     * variance, each pair or {@code null}.
     *
     * @throws EspalierException if all are {@code null}, one has another shape, or a number is out
     *     of range
     */
    public static BatchNorm1d of(
            @Nullable Tensor weight,
            @Nullable Tensor bias,
            @Nullable Tensor mean,
            @Nullable Tensor var,
            UnaryOperator<Options> with) {
        return new BatchNorm1d(weight, bias, mean, var, with);
    }

    @Override
    final @Nullable String wrongDimensions(long dimensions) {
        return dimensions == 2 || dimensions == 3
                ? null
                : "2 or 3 dimensions are needed, [N, C] or [N, C, L].";
    }
}
