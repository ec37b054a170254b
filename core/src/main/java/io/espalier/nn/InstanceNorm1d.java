package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import java.util.function.UnaryOperator;

/** Normalizes each channel of each example of [N, C, L]. */
public class InstanceNorm1d extends InstanceNorm {
    /** A layer with PyTorch's defaults: eps 1e-5, neither weight nor bias. */
    public InstanceNorm1d(long features) {
        this(features, options -> options);
    }

    /**
     * A layer that differs from the defaults, such as {@code o -> o.affine(true)}.
     *
     * @throws EspalierException if a number is out of range
     */
    public InstanceNorm1d(long features, UnaryOperator<Options> with) {
        super(features, with);
    }

    @Override
    final int dimensions() {
        return 3;
    }
}
