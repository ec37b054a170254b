package io.espalier.slim;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import java.util.Locale;

/**
 * How much a slimming is to leave.
 *
 * @param value for {@link Kind#SPEEDUP} how many times as fast, for {@link Kind#MAX_DROP} how far
 *     results may be off, otherwise the share that stays
 */
@Internal
public record SlimmingTarget(Kind kind, double value) {
    /** No layers are so wide that more could be meant. */
    private static final double FASTEST = 1000;

    /** Of what. */
    public enum Kind {
        /** The share of the units of every group. */
        RATIO("units"),
        /** The share of the multiplications. */
        MACS("MACs"),
        /** The share of the parameters. */
        PARAMETERS("parameters"),
        /** The share of the bytes. */
        BYTES("bytes"),
        /** How many times as fast. */
        SPEEDUP("ms"),
        /** How far results may be off. */
        MAX_DROP("ms");

        private final String unit;

        Kind(String unit) {
            this.unit = unit;
        }

        /** What is counted. */
        public String unit() {
            return unit;
        }

        /** Whether it is a time. */
        public boolean isTimed() {
            return unit.equals("ms");
        }
    }

    /** Refuses what can't be meant. */
    public SlimmingTarget {
        boolean holds =
                switch (kind) {
                    case SPEEDUP -> value >= 1 && value <= FASTEST;
                    case MAX_DROP -> value > 0 && value < 1;
                    default -> value > 0 && value <= 1;
                };
        if (!holds) {
            throw new EspalierException(
                    switch (kind) {
                        case SPEEDUP -> "The speed-up must be from 1 to 1000, not " + value;
                        case MAX_DROP -> "The drop must be in (0, 1), not " + value;
                        default -> "The share that stays must be in (0, 1], not " + value;
                    });
        }
    }

    /**
     * What is to be left a part of the way, of the model that came in; of units, of those that are
     * left where the part begins.
     */
    public SlimmingTarget part(double from, double to) {
        if (kind == Kind.MAX_DROP) {
            throw new EspalierException(
                    "A largest drop is reached at once; for several rounds give a share or a"
                            + " speed-up.");
        }
        return new SlimmingTarget(kind, Math.pow(value, kind == Kind.RATIO ? to - from : to));
    }

    /** Whether each group gets a width of its own. */
    public boolean isSearched() {
        return kind != Kind.RATIO;
    }

    /** What of the whole it leaves, where that follows. */
    public double share() {
        return kind == Kind.SPEEDUP ? 1 / value : value;
    }

    /** Says that it can't be met. */
    public EspalierException unmet(double least) {
        return new EspalierException(
                kind == Kind.SPEEDUP
                        ? String.format(
                                Locale.ROOT,
                                "A speed-up of %.2f can't be reached: at the narrowest it is about"
                                        + " %.2f.",
                                value,
                                1 / least)
                        : String.format(
                                Locale.ROOT,
                                "%s of the %s can't be reached: at the narrowest that widths are"
                                        + " chosen %.3f stay; a ratio may take more.",
                                value < 0.001 ? PlainNumber.of(value) : "%.3f".formatted(value),
                                kind.unit(),
                                least));
    }
}
