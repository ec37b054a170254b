package io.espalier.slim;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import java.util.Optional;
import java.util.function.ToDoubleFunction;

/**
 * The cheapest widths at which results are no further off than they may be: models that are made
 * and measured, each where the last ones say.
 */
@Internal
public final class DropSearch {
    private static final int ROUNDS = 5;
    private static final int HALVINGS = 12;

    /** A result that is as near to the largest drop is near enough. */
    private static final double NEAR = 0.9;

    private DropSearch() {}

    /**
     * Searches.
     *
     * @param drop of the results of a model of some widths, which is made for it; the last widths
     *     at which it is no larger than the largest are those that are given
     * @throws EspalierException if it is larger at all widths that were tried
     */
    public static int[] widths(WidthSearch search, double largest, ToDoubleFunction<int[]> drop) {
        Optional<int[]> best = Optional.empty();
        double least = 1;
        double most = 0;
        double dropOfError = 1;
        for (int round = 0; round < ROUNDS; round++) {
            double share = share(search, largest / dropOfError, most, least);
            int[] widths = search.within(share * search.whole()).orElse(search.narrowest());
            double found = drop.applyAsDouble(widths);
            if (found <= largest) {
                best = Optional.of(widths);
                least = share;
            } else {
                most = share;
            }
            dropOfError = Math.max(found, 1e-9) / Math.max(search.error(widths), 1e-9);
            boolean near = found <= largest && found >= NEAR * largest;
            if (near || least - most < Correction.NOISE) {
                break;
            }
        }
        return best.orElseThrow(() ->
                new EspalierException(
                        "Nothing was found that can go for a drop of %s; give more."
                                .formatted(largest)));
    }

    /** The least share of the cost at which no more is lost than that, between two shares. */
    private static double share(WidthSearch search, double error, double most, double least) {
        double from = most;
        double to = least;
        for (int i = 0; i < HALVINGS; i++) {
            double share = (from + to) / 2;
            Optional<int[]> widths = search.within(share * search.whole());
            if (widths.isPresent() && search.error(widths.get()) <= error) {
                to = share;
            } else {
                from = share;
            }
        }
        return to == least && most > 0 ? (most + least) / 2 : to;
    }
}
