package io.espalier.prune;

import io.espalier.tensor.EspalierException;

/**
 * How much to prune: a share of what is still kept, or a count. PyTorch tells the two apart by
 * {@code float} and {@code int}; so do the constructors that take a {@code double} or a {@code
 * long}.
 */
public sealed interface Amount {
    /**
     * A share of the entries (or channels) still kept.
     *
     * @throws EspalierException unless 0 ≤ {@code share} ≤ 1
     */
    static Amount share(double share) {
        return new Share(share);
    }

    /**
     * A number of entries (or channels).
     *
     * @throws EspalierException if {@code count} is negative
     */
    static Amount count(long count) {
        return new Count(count);
    }

    /**
     * How many of {@code size} units this is. A share is rounded to the nearest count, halves to
     * the even one, as Python rounds.
     *
     * @throws EspalierException if it is more than {@code size}
     */
    long of(long size);

    /** A share, from 0 to 1. */
    record Share(double share) implements Amount {
        public Share {
            if (!(share >= 0 && share <= 1)) {
                throw new EspalierException(
                        "Amount "
                                + share
                                + " is not a share from 0.0 to 1.0; to prune a count, give an "
                                + "integer.");
            }
        }

        @Override
        public long of(long size) {
            return (long) Math.rint(share * size);
        }
    }

    /** A count, 0 or more. */
    record Count(long count) implements Amount {
        public Count {
            if (count < 0) {
                throw new EspalierException(
                        "Amount " + count + " is negative; give a count of 0 or more.");
            }
        }

        @Override
        public long of(long size) {
            if (count > size) {
                throw new EspalierException(
                        "Amount "
                                + count
                                + " is more than the "
                                + size
                                + " that can be pruned; ask for at most "
                                + size
                                + ".");
            }
            return count;
        }
    }
}
