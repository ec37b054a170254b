package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.util.Arrays;
import java.util.List;

/**
 * Sizes along the spatial dimensions, as kernels, strides and paddings are given: one number for
 * all dimensions, or one for each.
 */
final class Extents {
    private Extents() {}

    /** A list of the numbers as they were given. */
    static List<Long> of(long... values) {
        return Arrays.stream(Needed.of(values, "the sizes along the dimensions")).boxed().toList();
    }

    static long[] array(List<Long> values) {
        return values.stream().mapToLong(Long::longValue).toArray();
    }

    /**
     * One number for each dimension.
     *
     * @throws EspalierException if there are neither one nor {@code rank} numbers, or one is below
     *     {@code least}
     */
    static long[] expand(String what, List<Long> given, int rank, long least) {
        if (given.size() != 1 && given.size() != rank) {
            throw new EspalierException(
                    what
                            + " takes 1 or "
                            + rank
                            + " numbers; "
                            + given.size()
                            + " were given: "
                            + given
                            + ".");
        }
        long[] values = new long[rank];
        for (int d = 0; d < rank; d++) {
            values[d] = requireAtLeast(what, given.get(given.size() == 1 ? 0 : d), least);
        }
        return values;
    }

    /**
     * Paddings in the order of libtorch's {@code pad}: the last dimension first, both its sides.
     */
    static long[] sides(long[] before, long[] after) {
        int rank = before.length;
        long[] sides = new long[2 * rank];
        for (int d = 0; d < rank; d++) {
            sides[2 * d] = before[rank - 1 - d];
            sides[2 * d + 1] = after[rank - 1 - d];
        }
        return sides;
    }

    /**
     * The value itself.
     *
     * @throws EspalierException if it is below {@code least}, or so large that sizes computed with
     *     it overflow
     */
    static long requireAtLeast(String what, long value, long least) {
        if (value < least) {
            throw new EspalierException(
                    what + " must be at least " + least + "; asked for " + value + ".");
        }
        if (value > Integer.MAX_VALUE) {
            throw new EspalierException(what + " must be below 2^31; asked for " + value + ".");
        }
        return value;
    }

    /**
     * As libtorch's poolings ask it: the padding is at most half the window.
     *
     * @throws EspalierException if it is more
     */
    static void requireWindow(long[] kernel, long[] padding) {
        for (int d = 0; d < kernel.length; d++) {
            if (padding[d] > kernel[d] / 2) {
                throw new EspalierException(
                        "padding must be at most half of kernel_size "
                                + Repr.tuple(kernel)
                                + "; asked for "
                                + Repr.tuple(padding)
                                + ".");
            }
        }
    }

    /**
     * As every window needs it in which there is something of the input.
     *
     * @throws EspalierException if the padding is not below the window
     */
    static void requireInWindow(long[] kernel, long[] padding) {
        for (int d = 0; d < kernel.length; d++) {
            if (padding[d] >= kernel[d]) {
                throw new EspalierException(
                        "padding must be below kernel_size "
                                + Repr.tuple(kernel)
                                + "; asked for "
                                + Repr.tuple(padding)
                                + ".");
            }
        }
    }
}
