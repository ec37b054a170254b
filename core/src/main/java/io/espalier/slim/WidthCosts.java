package io.espalier.slim;

import io.espalier.slim.Remainders.Remainder;
import io.espalier.tensor.Internal;

import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.DoubleUnaryOperator;

/** What a model costs whose groups have some widths: a sum over its parts. */
@Internal
public final class WidthCosts {
    /** The shares of all groups at which times are measured; between them they are interpolated. */
    public static final List<Double> MEASURED_AT = List.of(1.0, 0.75, 0.5, 0.25);

    /**
     * So much of a time is taken to follow the work, whatever was measured: times of small steps
     * are the same, give or take what a machine does meanwhile, and the one of less work is better.
     */
    private static final double BY_WORK = 0.05;

    private final List<List<Term>> byGroup = new ArrayList<>();
    private final List<Term> terms = new ArrayList<>();
    private double fixed;

    /**
     * A part of the model.
     *
     * @param cost of a share of its work, which is 1 if nothing is gone
     * @param factors of its work
     */
    private record Term(DoubleUnaryOperator cost, List<Remainder> factors) {
        /** What is left of nothing costs nothing. */
        double at(int[] widths) {
            double share = Remainders.ofProduct(factors, widths);
            return share == 0 ? 0 : cost.applyAsDouble(share);
        }
    }

    /**
     * Of nothing yet.
     *
     * @param groups how many have widths; blocks that may go count as groups of one unit behind the
     *     others
     */
    public WidthCosts(int groups) {
        for (int group = 0; group < groups; group++) {
            byGroup.add(new ArrayList<>());
        }
    }

    /** Adds what costs as much at any width. */
    public void addFixed(double cost) {
        fixed += cost;
    }

    /** Adds a part. */
    public void add(DoubleUnaryOperator cost, List<Remainder> factors) {
        if (factors.isEmpty()) {
            addFixed(cost.applyAsDouble(1));
            return;
        }
        var term = new Term(cost, factors);
        terms.add(term);
        Set<Integer> groups = new TreeSet<>();
        factors.forEach(factor -> groups.addAll(factor.groups()));
        groups.forEach(group -> byGroup.get(group).add(term));
    }

    /** The cost of the whole model. */
    public double of(int[] widths) {
        double sum = fixed;
        for (Term term : terms) {
            sum += term.at(widths);
        }
        return sum;
    }

    /** The cost of all parts that a group has to do with. */
    public double of(int group, int[] widths) {
        double sum = 0;
        for (Term term : byGroup.get(group)) {
            sum += term.at(widths);
        }
        return sum;
    }

    /** The cost of all parts that a group has to do with, if it had another width. */
    public double of(int group, int width, int[] widths) {
        int before = widths[group];
        widths[group] = width;
        double cost = of(group, widths);
        widths[group] = before;
        return cost;
    }

    /**
     * The cost of a share of a part's work, in straight lines near measured ones; more work always
     * costs more.
     *
     * @param samples costs by shares
     */
    public static DoubleUnaryOperator through(NavigableMap<Double, Double> samples) {
        double[] works = samples.keySet().stream().mapToDouble(Double::doubleValue).toArray();
        double[] times = samples.values().stream().mapToDouble(Double::doubleValue).toArray();
        for (int i = times.length - 2; i >= 0; i--) {
            times[i] = Math.min(times[i], times[i + 1]);
        }
        return share -> {
            if (works.length < 2) {
                return works.length == 0 ? 0 : times[0];
            }
            int after = 1;
            while (after < works.length - 1 && works[after] < share) {
                after++;
            }
            double slope = (times[after] - times[after - 1]) / (works[after] - works[after - 1]);
            double measured = Math.max(0, times[after] + slope * (share - works[after]));
            double byWork = times[times.length - 1] * share / works[works.length - 1];
            return (1 - BY_WORK) * measured + BY_WORK * byWork;
        };
    }
}
