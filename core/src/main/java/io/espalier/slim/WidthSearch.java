package io.espalier.slim;

import io.espalier.slim.WidthChoice.Option;
import io.espalier.tensor.Internal;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The widths of all groups by which least is lost within a budget. A layer's cost is about a
 * product of two groups' widths; so the choice is made for what each group costs beside the others'
 * widths of the round before, which move less and less.
 */
@Internal
public final class WidthSearch {
    /** How far widths may be from those of the round before, as shares of a group. */
    private static final double[] REACHES = {1, 0.5, 0.25, 0.25, 0.12, 0.12, 0.06, 0.06};

    private static final int HALVINGS = 30;

    private final List<Group> groups;
    private final List<double[]> errors;
    private final WidthCosts cost;
    private final List<int[]> widths;

    /**
     * Prepares.
     *
     * @param errors of each group, by how many of its units are gone
     */
    public WidthSearch(List<Group> groups, List<double[]> errors, WidthCosts cost) {
        this.groups = groups;
        this.errors = errors;
        this.cost = cost;
        widths =
                IntStream.range(0, groups.size())
                        .mapToObj(g ->
                                IntStream.of(UnitWidths.all(groups.get(g)))
                                        .filter(w -> Double.isFinite(error(g, w)))
                                        .toArray())
                        .toList();
    }

    /** The cost of the widths as they are. */
    public double whole() {
        return cost.of(UnitWidths.of(groups, 1));
    }

    /** The narrowest widths. */
    public int[] narrowest() {
        return widths.stream().mapToInt(all -> all[0]).toArray();
    }

    /** The cost of some widths, foreseen. */
    public double cost(int[] at) {
        return cost.of(at);
    }

    /** What of that a group has to do with. */
    double cost(int group, int[] at) {
        return cost.of(group, at);
    }

    /** What each group costs and loses at these widths. */
    public Map<Group, GroupCost> costs(int[] at) {
        Map<Group, GroupCost> costs = new HashMap<>();
        int[] whole = UnitWidths.of(groups, 1);
        for (int g = 0; g < at.length; g++) {
            costs.put(groups.get(g), new GroupCost(cost(g, whole), cost(g, at), error(g, at[g])));
        }
        return costs;
    }

    /** What is lost at these widths. */
    public double error(int[] widths) {
        return IntStream.range(0, widths.length).mapToDouble(i -> error(i, widths[i])).sum();
    }

    double error(int group, int width) {
        return errors.get(group)[groups.get(group).units().size() - width];
    }

    /** The best widths that were found; empty if none are within the budget. */
    public Optional<int[]> within(double budget) {
        if (cost.of(narrowest()) > budget) {
            return Optional.empty();
        }
        int[] best = even(budget);
        int[] at = best;
        for (double reach : REACHES) {
            Optional<int[]> next = near(at, reach, budget);
            if (next.isEmpty()) {
                continue;
            }
            at = filled(narrowed(next.get(), budget), budget);
            if (error(at) < error(best)) {
                best = at;
            }
            at = best;
        }
        return Optional.of(best);
    }

    /** The largest equal share. */
    private int[] even(double budget) {
        double from = 0;
        double to = 1;
        for (int i = 0; i < HALVINGS; i++) {
            double share = (from + to) / 2;
            if (cost.of(shared(share)) <= budget) {
                from = share;
            } else {
                to = share;
            }
        }
        return shared(from);
    }

    private int[] shared(double share) {
        int[] all = UnitWidths.of(groups, share);
        for (int g = 0; g < all.length; g++) {
            all[g] = Math.max(all[g], widths.get(g)[0]);
        }
        return all;
    }

    private Optional<int[]> near(int[] at, double reach, double budget) {
        List<int[]> near = new ArrayList<>();
        List<List<Option>> options = new ArrayList<>();
        double sum = 0;
        for (int g = 0; g < at.length; g++) {
            int group = g;
            int count = groups.get(g).units().size();
            int[] some =
                    IntStream.of(widths.get(g))
                            .filter(w -> Math.abs(w - at[group]) <= reach * count)
                            .toArray();
            near.add(some);
            options.add(
                    IntStream.of(some)
                            .mapToObj(w -> new Option(cost.of(group, w, at), error(group, w)))
                            .toList());
            sum += cost.of(group, at);
        }
        return WidthChoice.of(options, budget - cost.of(at) + sum)
                .map(chosen ->
                        IntStream.range(0, chosen.length)
                                .map(g -> near.get(g)[chosen[g]])
                                .toArray());
    }

    /** Narrower, where it costs more than it seemed: first what saves most for what it loses. */
    private int[] narrowed(int[] widths, double budget) {
        int[] at = widths.clone();
        while (cost.of(at) > budget) {
            int best = -1;
            double most = -1;
            for (int g = 0; g < at.length; g++) {
                int narrower = next(g, at[g], -1);
                if (narrower != at[g]) {
                    double saved = cost.of(g, at) - cost.of(g, narrower, at);
                    double lost = error(g, narrower) - error(g, at[g]);
                    double gain = saved / Math.max(lost, 1e-12);
                    if (gain > most) {
                        most = gain;
                        best = g;
                    }
                }
            }
            if (best < 0) {
                return even(budget);
            }
            at[best] = next(best, at[best], -1);
        }
        return at;
    }

    /** Wider, where there is room: first what gains most for what it costs. */
    private int[] filled(int[] widths, double budget) {
        int[] at = widths.clone();
        for (; ; ) {
            double room = budget - cost.of(at);
            int best = -1;
            double most = 0;
            for (int g = 0; g < at.length; g++) {
                int wider = next(g, at[g], 1);
                double spent = cost.of(g, wider, at) - cost.of(g, at);
                double gain = error(g, at[g]) - error(g, wider);
                if (wider != at[g] && spent <= room && gain > most * Math.max(spent, 1e-12)) {
                    most = gain / Math.max(spent, 1e-12);
                    best = g;
                }
            }
            if (best < 0) {
                return at;
            }
            at[best] = next(best, at[best], 1);
        }
    }

    private int next(int group, int width, int direction) {
        int[] all = widths.get(group);
        for (int i = 0; i < all.length; i++) {
            if (all[i] == width) {
                return all[Math.clamp(i + direction, 0, all.length - 1)];
            }
        }
        return width;
    }
}
