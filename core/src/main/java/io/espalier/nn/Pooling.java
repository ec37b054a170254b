package io.espalier.nn;

import java.util.List;

/** The moving window that maximum and mean poolings share. */
abstract sealed class Pooling extends Module permits AvgPool, MaxPool {
    private final int rank;
    private final List<Long> kernel;
    private final List<Long> stride;
    private final List<Long> padding;
    private final boolean ceilMode;

    /**
     * A window.
     *
     * @param kernel its size, one number or one for each dimension
     * @param stride its steps; none for its own size
     */
    Pooling(int rank, long[] kernel, List<Long> stride, List<Long> padding, boolean ceilMode) {
        this.rank = rank;
        this.kernel = Extents.of(kernel);
        this.stride = stride.isEmpty() ? this.kernel : stride;
        this.padding = padding;
        this.ceilMode = ceilMode;
        Extents.requireWindow(kernelSize(), padding());
        stride();
    }

    /** The window's size along each dimension. */
    public final long[] kernelSize() {
        return expand("kernel_size", kernel, 1);
    }

    /** The window's steps along each dimension. */
    public final long[] stride() {
        return expand("stride", stride, 1);
    }

    /** The padding of both sides of each dimension. */
    public final long[] padding() {
        return expand("padding", padding, 0);
    }

    /** Whether a last window that does not fit whole counts. */
    public final boolean ceilMode() {
        return ceilMode;
    }

    final boolean isFlat() {
        return rank == 1;
    }

    final long[] expand(String what, List<Long> given, long least) {
        return Extents.expand(what, given, rank, least);
    }

    /**
     * PyTorch keeps the numbers of the one-dimensional mean as tuples, all others as they were
     * given.
     */
    final String window(boolean tuples) {
        return "kernel_size="
                + sizes(kernel, tuples)
                + ", stride="
                + sizes(stride, tuples)
                + ", padding="
                + sizes(padding, tuples);
    }

    private static String sizes(List<Long> values, boolean tuples) {
        return tuples ? Repr.tuple(Extents.array(values)) : Repr.numberOrTuple(values);
    }
}
