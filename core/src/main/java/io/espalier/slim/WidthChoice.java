package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * One of several widths for each group, so that all together cost no more than a budget and least
 * is lost: a knapsack of multiple choices, solved exactly for costs in steps by dynamic programming
 * (Frantar and Alistarh, <a href="https://arxiv.org/abs/2201.13096">SPDY</a>, 2022).
 */
@Internal
public final class WidthChoice {
    /** So many steps the budget has; a cost counts as the next of them. */
    private static final int STEPS = 1 << 13;

    private WidthChoice() {}

    /**
     * What a width costs and loses.
     *
     * @param cost in any unit
     * @param error 0 or more
     */
    public record Option(double cost, double error) {}

    /**
     * Chooses.
     *
     * @param groups the options of each, one at least
     * @param budget in the unit of the costs
     * @return the place of the option of each group; empty if none are within the budget
     */
    public static Optional<int[]> of(List<List<Option>> groups, double budget) {
        double least = groups.stream().mapToDouble(WidthChoice::least).sum();
        if (!(least <= budget)) {
            return Optional.empty();
        }
        double step = (budget - least) / STEPS;
        var errors = new double[STEPS + 1];
        var chosen = new short[groups.size()][];
        for (int group = 0; group < groups.size(); group++) {
            List<Option> options = groups.get(group);
            double from = least(options);
            var next = new double[STEPS + 1];
            Arrays.fill(next, Double.POSITIVE_INFINITY);
            chosen[group] = new short[STEPS + 1];
            for (short option = 0; option < options.size(); option++) {
                int steps = steps(options.get(option).cost() - from, step);
                double error = options.get(option).error();
                for (int room = steps; room <= STEPS; room++) {
                    double all = errors[room - steps] + error;
                    if (all < next[room]) {
                        next[room] = all;
                        chosen[group][room] = option;
                    }
                }
            }
            errors = next;
        }
        var result = new int[groups.size()];
        int room = STEPS;
        for (int group = groups.size() - 1; group >= 0; group--) {
            List<Option> options = groups.get(group);
            result[group] = chosen[group][room];
            room -= steps(options.get(result[group]).cost() - least(options), step);
        }
        return Optional.of(result);
    }

    private static double least(List<Option> options) {
        return options.stream().mapToDouble(Option::cost).min().orElse(0);
    }

    private static int steps(double cost, double step) {
        return cost <= 0 ? 0 : (int) Math.min(STEPS + 1, Math.ceil(cost / step));
    }
}
