package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import java.util.function.UnaryOperator;

/** The mean under a moving window: [N, C, H, W] to [N, C, H', W'], or both without N. */
public final class AvgPool2d extends AvgPool {
    /** A window that moves by its own size. */
    public AvgPool2d(long kernel) {
        this(kernel, options -> options);
    }

    /**
     * A window with other options, such as {@code o -> o.stride(2).padding(1)}.
     *
     * @throws EspalierException if a number is out of range
     */
    public AvgPool2d(long kernel, UnaryOperator<Options> with) {
        super(2, new long[] {kernel}, with);
    }

    /** A window of its own size along each dimension. */
    public AvgPool2d(long[] kernel) {
        this(kernel, options -> options);
    }

    /** A window of its own size along each dimension, and other options. */
    public AvgPool2d(long[] kernel, UnaryOperator<Options> with) {
        super(2, kernel, with);
    }
}
