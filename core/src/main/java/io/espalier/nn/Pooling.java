package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.List;

/** The moving window that maximum and mean poolings share. */
abstract sealed class Pooling extends Module permits AvgPool, MaxPool {
    private final int rank;
    private final List<Long> kernel;
    private final List<Long> stride;
    private final List<Long> padding;
    private final List<Long> paddingAfter;
    private final boolean ceilMode;

    /**
     * A window.
     *
     * @param kernel its size, one number or one for each dimension
     * @param stride its steps; none for its own size
     * @param paddingAfter what is put after the input; none for as much as before it
     */
    Pooling(
            int rank,
            long[] kernel,
            List<Long> stride,
            List<Long> padding,
            List<Long> paddingAfter,
            boolean ceilMode) {
        this.rank = rank;
        this.kernel = Extents.of(kernel);
        this.stride = stride.isEmpty() ? this.kernel : stride;
        this.padding = padding;
        this.paddingAfter = paddingAfter.isEmpty() ? padding : paddingAfter;
        this.ceilMode = ceilMode;
        if (isPaddedUnevenly()) {
            Extents.requireInWindow(kernelSize(), paddingBefore());
            Extents.requireInWindow(kernelSize(), paddingAfter());
        } else {
            Extents.requireWindow(kernelSize(), paddingBefore());
        }
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

    /**
     * The padding of both sides of each dimension.
     *
     * @throws EspalierException if the two sides differ, as {@link #paddingBefore} and {@link
     *     #paddingAfter} say
     */
    public final long[] padding() {
        if (isPaddedUnevenly()) {
            throw new EspalierException(
                    "The padding of "
                            + this
                            + " differs before and after the input; ask for paddingBefore() and"
                            + " paddingAfter().");
        }
        return paddingBefore();
    }

    /** The padding before the input along each dimension: left, above. */
    public final long[] paddingBefore() {
        return expand("padding", padding, 0);
    }

    /** The padding after the input along each dimension: right, below. */
    public final long[] paddingAfter() {
        return expand("padding", paddingAfter, 0);
    }

    /** Whether the padding before the input is not the one after it. */
    public final boolean isPaddedUnevenly() {
        return !Arrays.equals(paddingBefore(), paddingAfter());
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
     * What windows over the padded input gave, without those that begin after the input itself,
     * which with {@code ceilMode} don't count. How many they are depends on the input, so this is
     * nothing that a graph could record.
     */
    final Tensor withoutWindowsBehind(Tensor result, Tensor x, long[] extent) {
        Tensor kept = result;
        for (int d = 0; d < rank; d++) {
            long size = x.size(x.dim() - rank + d);
            long before = paddingBefore()[d];
            long step = stride()[d];
            long free = size + before + paddingAfter()[d] - extent[d];
            long count = Math.ceilDiv(free, step) + 1;
            count -= (count - 1) * step >= size + before ? 1 : 0;
            kept = kept.narrow(kept.dim() - rank + d, 0, count);
        }
        return kept;
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
                + (isPaddedUnevenly()
                        ? Repr.pairs(paddingBefore(), paddingAfter())
                        : sizes(padding, tuples));
    }

    private static String sizes(List<Long> values, boolean tuples) {
        return tuples ? Repr.tuple(Extents.array(values)) : Repr.numberOrTuple(values);
    }
}
