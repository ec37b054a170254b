package io.espalier.nn;

import io.espalier.tensor.EspalierException;

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

    @Override
    final @Nullable String wrongDimensions(long dimensions) {
        return dimensions == 2 || dimensions == 3
                ? null
                : "2 or 3 dimensions are needed, [N, C] or [N, C, L].";
    }
}
