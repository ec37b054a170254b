package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.Optional;
import java.util.function.ToDoubleFunction;

/** Widths of which a share of the whole is left as it is measured, not only as it was foreseen. */
@Internal
public final class Correction {
    /** Times of one model differ by about as much from one measurement to the next. */
    public static final double NOISE = 0.02;

    /** How much more may be left of what is counted. */
    public static final double COUNTED = 0.005;

    private static final int ROUNDS = 5;

    /** Of what is counted, which takes less time than what is timed. */
    private static final int COUNTS = 10;

    private final WidthSearch search;
    private final ToDoubleFunction<int[]> measured;
    private final double off;

    /**
     * Prepares.
     *
     * @param measured the share of the whole that is left at some widths
     * @param off how far the share may be off, as a part of it
     */
    public Correction(WidthSearch search, ToDoubleFunction<int[]> measured, double off) {
        this.search = search;
        this.measured = measured;
        this.off = off;
    }

    /**
     * The widths that leave most of what leaves no more than is wanted.
     *
     * @throws io.espalier.tensor.EspalierException if none leaves as little
     */
    public int[] within(SlimmingTarget target, Slimming.Listener listener) {
        double wanted = target.share();
        double low = 0;
        double high = search.whole() * (1 + off);
        double budget = wanted * search.whole();
        int[] best = search.narrowest();
        double most = 0;
        for (int round = 0; round < COUNTS && most < wanted * (1 - off); round++) {
            listener.at("counting what is left", round, COUNTS);
            Optional<int[]> widths = search.within(budget);
            int[] tried = widths.orElse(search.narrowest());
            double share = measured.applyAsDouble(tried);
            boolean fits = share <= wanted * (1 + off);
            if (widths.isEmpty() && !fits) {
                throw target.unmet(share);
            }
            if (fits && share > most) {
                most = share;
                best = tried;
            }
            low = fits ? budget : low;
            high = fits ? high : budget;
            double next = budget * wanted / share;
            budget = next > low && next < high ? next : (low + high) / 2;
        }
        double least = most > 0 ? most : measured.applyAsDouble(best);
        if (least > wanted * (1 + off)) {
            throw target.unmet(least);
        }
        return best;
    }

    /** The widths that come nearest to what is wanted. */
    public int[] to(SlimmingTarget target, Slimming.Listener listener) {
        double wanted = target.share();
        double budget = wanted * search.whole();
        int[] best = search.narrowest();
        double least = Double.POSITIVE_INFINITY;
        for (int round = 0; round < ROUNDS && least > off; round++) {
            listener.at("measuring what is left", round, ROUNDS);
            Optional<int[]> widths = search.within(budget);
            int[] tried = widths.orElse(search.narrowest());
            double share = measured.applyAsDouble(tried);
            double distance = Math.abs(Math.log(share / wanted));
            if (widths.isEmpty() && share > wanted * (1 + off)) {
                throw target.unmet(share);
            }
            if (distance < least) {
                least = distance;
                best = tried;
            }
            budget = Math.min(budget * wanted / share, search.whole());
        }
        return best;
    }
}
