package io.espalier.slim;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * The cheapest widths at which results are no further off than they may be: of widths that are
 * cheaper the more is foreseen to be lost, some are made and measured, each where the last ones
 * say, until what is lost is nearly what may be.
 */
@Internal
public final class DropSearch {
    /** A model is solved in each. */
    private static final int ROUNDS = 6;

    /** A result that is as near to the largest drop is near enough. */
    private static final double NEAR = 0.8;

    /** What is aimed at, as a share of the largest drop. */
    private static final double AIM = 0.93;

    /** So many budgets there are between the whole model and the narrowest one. */
    private static final int BUDGETS = 48;

    /** And so many near each of two, of which one may be and the other loses too much. */
    private static final int FINER = 6;

    private final WidthSearch search;
    private final double largest;
    private final Slimming.Listener listener;
    private final List<Measured> tried = new ArrayList<>();

    private DropSearch(WidthSearch search, double largest, Slimming.Listener listener) {
        this.search = search;
        this.largest = largest;
        this.listener = listener;
    }

    /** Widths, what they cost, and what is foreseen to be lost. */
    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    private record Point(int[] widths, double cost, double error) {}

    /** What really is lost. */
    private record Measured(Point point, double drop) {}

    /**
     * Searches.
     *
     * @param drop of the results of a model of some widths, which is made for it; the last widths
     *     at which it is no larger than the largest are those that are given
     * @param listener is told how many budgets have been looked at
     * @throws EspalierException if it is larger at all widths that were tried
     */
    public static int[] widths(
            WidthSearch search,
            double largest,
            ToDoubleFunction<int[]> drop,
            Slimming.Listener listener) {
        return new DropSearch(search, largest, listener).widths(drop);
    }

    private int[] widths(ToDoubleFunction<int[]> drop) {
        List<Point> points = cheapest(budgets());
        for (int round = 0; round < ROUNDS; round++) {
            List<Point> open = open(points);
            if (open.isEmpty()) {
                open = open(cheapest(finer()));
            }
            if (open.isEmpty()) {
                break;
            }
            Point next = next(open);
            double found = drop.applyAsDouble(next.widths());
            tried.add(new Measured(next, found));
            if (found <= largest && found >= NEAR * largest) {
                break;
            }
        }
        return fits().orElseThrow(() ->
                        new EspalierException(
                                "Nothing was found that can go for a drop of %s; give more."
                                        .formatted(PlainNumber.of(largest))))
                .point()
                .widths();
    }

    /** The cheapest that was tried and may be. */
    private Optional<Measured> fits() {
        return tried.stream()
                .filter(one -> one.drop() <= largest)
                .min(Comparator.comparingDouble(one -> one.point().cost()));
    }

    /** The one that costs most of those that were tried and lose too much. */
    private Optional<Measured> tooMuch() {
        return tried.stream()
                .filter(one -> one.drop() > largest)
                .max(Comparator.comparingDouble(one -> one.point().cost()));
    }

    private double most() {
        return fits().map(one -> one.point().cost()).orElse(search.whole());
    }

    private double least() {
        return tooMuch().map(one -> one.point().cost()).orElse(search.cost(search.narrowest()));
    }

    private double[] budgets() {
        double from = least();
        double step = (most() - from) / BUDGETS;
        return IntStream.rangeClosed(0, BUDGETS).mapToDouble(i -> from + step * i).toArray();
    }

    /**
     * Nearer and nearer to what was tried: what is cheaper by little is hidden by what is by much.
     */
    private double[] finer() {
        double from = least();
        double to = most();
        return IntStream.rangeClosed(1, FINER)
                .mapToDouble(i -> (to - from) / (1 << i))
                .flatMap(away -> DoubleStream.of(from + away, to - away))
                .toArray();
    }

    /** Widths for some budgets, by what is foreseen: none that others are better than. */
    private List<Point> cheapest(double[] budgets) {
        List<Point> points = new ArrayList<>();
        for (int i = 0; i < budgets.length; i++) {
            listener.at("comparing widths", i, budgets.length);
            search.within(budgets[i])
                    .map(at -> new Point(at, search.cost(at), search.error(at)))
                    .ifPresent(points::add);
        }
        points.sort(Comparator.comparingDouble(Point::cost).thenComparingDouble(Point::error));
        List<Point> best = new ArrayList<>();
        for (Point point : points) {
            if (best.isEmpty() || point.error() < best.getLast().error()) {
                best.add(point);
            }
        }
        return best.reversed();
    }

    /** Those that cost less than what may be, and more than what loses too much. */
    private List<Point> open(List<Point> points) {
        double most = most();
        double least = tooMuch().map(one -> one.point().cost()).orElse(0.0);
        return points.stream()
                .filter(point -> point.cost() < most && point.cost() > least)
                .toList();
    }

    /** The cheapest at which no more is expected to be lost than is aimed at. */
    private Point next(List<Point> open) {
        double error = expected(AIM * largest);
        return open.stream()
                .filter(point -> point.error() <= error)
                .reduce((one, cheaper) -> cheaper)
                .orElse(open.getFirst());
    }

    /** What must be foreseen where results would lose so much, by what was seen. */
    private double expected(double drop) {
        Optional<Measured> below = fits().filter(one -> isTelling(one));
        Optional<Measured> above = tooMuch().filter(one -> isTelling(one));
        Measured near = above.or(() -> below).orElse(null);
        if (near == null) {
            return drop;
        }
        double factor = drop / near.drop();
        double power = 1;
        if (below.isPresent() && above.isPresent()) {
            Measured other = below.get();
            power =
                    Math.log(near.point().error() / other.point().error())
                            / Math.log(near.drop() / other.drop());
        }
        return near.point().error() * Math.pow(factor, power);
    }

    private static boolean isTelling(Measured measured) {
        return measured.drop() > 0 && measured.point().error() > 0;
    }
}
