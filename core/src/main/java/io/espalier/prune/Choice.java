package io.espalier.prune;

import io.espalier.tensor.EspalierException;

/**
 * Which of the entries, or channels, that a method ranks it prunes; of those pruned already none is
 * counted.
 */
public sealed interface Choice {
    /** So many of lowest rank; of equal ones the lower index goes first. */
    static Choice lowest(Amount amount) {
        return new Lowest(amount);
    }

    /**
     * All whose rank is below a limit.
     *
     * @throws EspalierException if the limit is no number
     */
    static Choice below(double limit) {
        return new Below(limit);
    }

    /** So many at random, each set of them equally likely; ranks count for nothing. */
    static Choice atRandom(Amount amount) {
        return new AtRandom(amount);
    }

    /** So many of lowest rank. */
    record Lowest(Amount amount) implements Choice {}

    /** All whose rank is below a limit. */
    record Below(double limit) implements Choice {
        public Below {
            if (Double.isNaN(limit)) {
                throw new EspalierException("Nothing ranks below NaN; give a number as limit.");
            }
        }
    }

    /** So many at random. */
    record AtRandom(Amount amount) implements Choice {}
}
