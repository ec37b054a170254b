package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * One of several widths for each group, so that all together cost no more than a budget and least
 * is lost: a knapsack of multiple choices, solved exactly for costs in steps by dynamic programming
 * (Frantar and Alistarh, <a href="https://arxiv.org/abs/2201.13096">SPDY</a>, 2022). Of several
 * groups there may be none at all instead.
 */
@Internal
public final class WidthChoice {
    /** So many steps the budget has; a cost counts as the next of them. */
    private static final int STEPS = 1 << 13;

    private final double step;
    private double[] errors = new double[STEPS + 1];

    private WidthChoice(double step) {
        this.step = step;
    }

    /**
     * What a width costs and loses.
     *
     * @param cost in any unit, below 0 where it saves
     * @param error 0 or more
     */
    public record Option(double cost, double error) {}

    /**
     * Groups of which each gets a width, or that are gone together.
     *
     * @param groups the options of each, one at least
     * @param cost of there being groups, beside that of their widths
     * @param gone instead of all that, if that may be
     */
    public record Part(List<List<Option>> groups, double cost, Optional<Option> gone) {
        /** Copies the list. */
        public Part {
            groups = List.copyOf(groups);
        }

        /** A group that stays. */
        public static Part of(List<Option> group) {
            return new Part(List.of(group), 0, Optional.empty());
        }

        private double leastThere() {
            return cost + groups.stream().mapToDouble(WidthChoice::least).sum();
        }

        private double least() {
            return Math.min(leastThere(), gone.map(Option::cost).orElse(Double.POSITIVE_INFINITY));
        }
    }

    /**
     * Chooses.
     *
     * @param budget in the unit of the costs
     * @return the places of the options of each part's groups, none if they are gone; empty if
     *     nothing is within the budget
     */
    public static Optional<List<Optional<int[]>>> of(List<Part> parts, double budget) {
        double least = parts.stream().mapToDouble(Part::least).sum();
        if (!(least <= budget)) {
            return Optional.empty();
        }
        var choice = new WidthChoice((budget - least) / STEPS);
        List<Table> tables = parts.stream().map(choice::add).toList();
        List<Optional<int[]>> result = new ArrayList<>();
        int room = STEPS;
        for (Table table : tables.reversed()) {
            if (table.isGone()[room]) {
                room -= choice.stepsGone(table.part());
                result.add(Optional.empty());
                continue;
            }
            room -= choice.stepsThere(table.part());
            var chosen = new int[table.part().groups().size()];
            for (int group = chosen.length - 1; group >= 0; group--) {
                chosen[group] = table.chosen()[group][room];
                List<Option> options = table.part().groups().get(group);
                room -= choice.steps(options.get(chosen[group]).cost() - least(options));
            }
            result.add(Optional.of(chosen));
        }
        return Optional.of(result.reversed());
    }

    /**
     * What is best of a part, by what room there is for it and those before it.
     *
     * @param chosen the place of each group's option, if they are there and by the room before that
     * @param isGone whether they are gone
     */
    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    private record Table(Part part, short[][] chosen, boolean[] isGone) {}

    private Table add(Part part) {
        double[] before = errors;
        var chosen = new short[part.groups().size()][];
        for (int group = 0; group < chosen.length; group++) {
            chosen[group] = add(part.groups().get(group));
        }
        double[] there = errors;
        errors = later(there, stepsThere(part), 0);
        var isGone = new boolean[STEPS + 1];
        part.gone()
                .ifPresent(gone -> {
                    double[] without = later(before, stepsGone(part), gone.error());
                    for (int room = 0; room <= STEPS; room++) {
                        isGone[room] = without[room] < errors[room];
                        errors[room] = Math.min(without[room], errors[room]);
                    }
                });
        return new Table(part, chosen, isGone);
    }

    private short[] add(List<Option> options) {
        double from = least(options);
        var next = new double[STEPS + 1];
        Arrays.fill(next, Double.POSITIVE_INFINITY);
        var chosen = new short[STEPS + 1];
        for (short option = 0; option < options.size(); option++) {
            int steps = steps(options.get(option).cost() - from);
            double error = options.get(option).error();
            for (int room = steps; room <= STEPS; room++) {
                double all = errors[room - steps] + error;
                if (all < next[room]) {
                    next[room] = all;
                    chosen[room] = option;
                }
            }
        }
        errors = next;
        return chosen;
    }

    /** Errors where so much of the room is taken, and more is lost. */
    private static double[] later(double[] errors, int steps, double more) {
        var later = new double[STEPS + 1];
        for (int room = 0; room <= STEPS; room++) {
            later[room] = room < steps ? Double.POSITIVE_INFINITY : errors[room - steps] + more;
        }
        return later;
    }

    private int stepsThere(Part part) {
        return steps(part.leastThere() - part.least());
    }

    private int stepsGone(Part part) {
        return steps(part.gone().map(Option::cost).orElse(part.least()) - part.least());
    }

    private static double least(List<Option> options) {
        return options.stream().mapToDouble(Option::cost).min().orElse(0);
    }

    private int steps(double cost) {
        return cost <= 0 ? 0 : (int) Math.min(STEPS + 1, Math.ceil(cost / step));
    }
}
