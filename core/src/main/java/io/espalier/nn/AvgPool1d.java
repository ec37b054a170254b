package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import java.util.function.UnaryOperator;

/** The mean under a moving window: [N, C, L] to [N, C, L'], or both without N. */
public final class AvgPool1d extends AvgPool {
    /** A window that moves by its own size. */
    public AvgPool1d(long kernel) {
        this(kernel, options -> options);
    }

    /**
     * A window with other options, such as {@code o -> o.stride(2).padding(1)}.
     *
     * @throws EspalierException if a number is out of range
     */
    public AvgPool1d(long kernel, UnaryOperator<Options> with) {
        super(1, new long[] {kernel}, with);
    }
}
