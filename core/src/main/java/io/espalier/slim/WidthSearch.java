package io.espalier.slim;

import io.espalier.slim.WidthChoice.Option;
import io.espalier.slim.WidthChoice.Part;
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
 * widths of the round before, which move less and less. Where whole blocks may go, they compete
 * with widths: all within one costs nothing then.
 */
@Internal
public final class WidthSearch {
    /** How far widths may be from those of the round before, as shares of a group. */
    private static final double[] REACHES = {1, 0.5, 0.25, 0.25, 0.12, 0.12, 0.06, 0.06};

    private static final int HALVINGS = 30;

    private final WidthSpace space;
    private final WidthCosts cost;

    /**
     * Prepares.
     *
     * @param errors of each group, by how many of its units are gone
     */
    public WidthSearch(List<Group> groups, List<double[]> errors, WidthCosts cost) {
        this(groups, errors, cost, List.of());
    }

    /**
     * The same where whole blocks may go, whose widths, 1 or 0, stand behind those of the groups.
     *
     * @param cost in which each block's part of the model depends on that width
     */
    public WidthSearch(
            List<Group> groups,
            List<double[]> errors,
            WidthCosts cost,
            List<RemovableBlock> blocks) {
        this.cost = cost;
        space = new WidthSpace(groups, errors, blocks);
    }

    /** The cost of the widths as they are. */
    public double whole() {
        return cost.of(space.whole());
    }

    /** The narrowest widths. */
    public int[] narrowest() {
        return space.narrowest();
    }

    /** The cost of some widths, foreseen. */
    public double cost(int[] at) {
        return cost.of(at);
    }

    /** What each group costs and loses at these widths; those of a block share what it loses. */
    public Map<Group, GroupCost> costs(int[] at) {
        Map<Group, GroupCost> costs = new HashMap<>();
        int[] whole = space.whole();
        List<Group> groups = space.groups();
        for (int g = 0; g < groups.size(); g++) {
            double error = space.errorOfGroup(g, at);
            costs.put(groups.get(g), new GroupCost(cost.of(g, whole), cost.of(g, at), error));
        }
        return costs;
    }

    /** What is lost at these widths. */
    public double error(int[] at) {
        return space.error(at);
    }

    /**
     * The best widths that were found; empty if none are within the budget. Steps of the budget are
     * coarser where blocks may go, so what is best without that stands unless a block really goes
     * and less is lost.
     */
    public Optional<int[]> within(double budget) {
        if (cost.of(narrowest()) > budget) {
            return Optional.empty();
        }
        int[] best = best(budget, true);
        if (space.hasBlocks() && cost.of(space.shared(0)) <= budget) {
            int[] whole = best(budget, false);
            best = space.hasAllBlocks(best) || error(whole) <= error(best) ? whole : best;
        }
        return Optional.of(best);
    }

    /**
     * From two beginnings: what one group costs hangs on the others' widths, so that from equal
     * shares, where all are narrow, it seems to save little if some are as they were.
     */
    private int[] best(double budget, boolean blocksMayGo) {
        int[] one = best(even(budget), budget, blocksMayGo);
        int[] other = best(narrowed(space.whole(), budget, blocksMayGo), budget, blocksMayGo);
        return error(other) < error(one) ? other : one;
    }

    private int[] best(int[] from, double budget, boolean blocksMayGo) {
        int[] best = from;
        int[] at = best;
        for (double reach : REACHES) {
            Optional<int[]> next = near(at, reach, budget, blocksMayGo);
            if (next.isEmpty()) {
                continue;
            }
            at = filled(narrowed(next.get(), budget, blocksMayGo), budget);
            if (error(at) < error(best)) {
                best = at;
            }
            at = best;
        }
        return best;
    }

    /** The largest equal share with all blocks, or the narrowest widths where there is none. */
    private int[] even(double budget) {
        if (cost.of(space.shared(0)) > budget) {
            return narrowest();
        }
        double from = 0;
        double to = 1;
        for (int i = 0; i < HALVINGS; i++) {
            double share = (from + to) / 2;
            if (cost.of(space.shared(share)) <= budget) {
                from = share;
            } else {
                to = share;
            }
        }
        return space.shared(from);
    }

    /** What is chosen at once: a group by itself, or those of a block. */
    private record Subject(int place, List<int[]> widths, Part part) {}

    private Optional<int[]> near(int[] at, double reach, double budget, boolean blocksMayGo) {
        List<Subject> subjects =
                IntStream.range(0, space.size())
                        .filter(place -> !space.isWithinBlock(place))
                        .mapToObj(place -> subject(place, at, reach, blocksMayGo))
                        .toList();
        return WidthChoice.of(subjects.stream().map(Subject::part).toList(), budget - cost.of(at))
                .map(chosen -> {
                    int[] widths = at.clone();
                    for (int i = 0; i < chosen.size(); i++) {
                        take(subjects.get(i), chosen.get(i), widths);
                    }
                    return widths;
                });
    }

    /** With costs beside those of the widths as they are. */
    private Subject subject(int place, int[] at, double reach, boolean mayGo) {
        if (!space.isBlock(place)) {
            int[] near = near(place, at, reach);
            return new Subject(place, List.of(near), Part.of(options(place, near, at)));
        }
        int[] there = with(at, place, 1);
        double before = cost.of(place, at);
        List<int[]> near = new ArrayList<>();
        List<List<Option>> options = new ArrayList<>();
        for (int group : space.block(place).groups()) {
            near.add(near(group, at, reach));
            options.add(options(group, near.getLast(), there));
        }
        var gone = new Option(-before, space.block(place).error());
        double more = cost.of(place, there) - before;
        return new Subject(
                place, near, new Part(options, more, Optional.of(gone).filter(g -> mayGo)));
    }

    private int[] near(int group, int[] at, double reach) {
        int count = space.groups().get(group).units().size();
        return IntStream.of(space.all(group))
                .filter(w -> Math.abs(w - at[group]) <= reach * count)
                .toArray();
    }

    private List<Option> options(int group, int[] widths, int[] at) {
        double before = cost.of(group, at);
        return IntStream.of(widths)
                .mapToObj(w -> new Option(cost.of(group, w, at) - before, space.ofGroup(group, w)))
                .toList();
    }

    private static int[] with(int[] at, int place, int width) {
        int[] other = at.clone();
        other[place] = width;
        return other;
    }

    private void take(Subject subject, Optional<int[]> chosen, int[] widths) {
        int place = subject.place();
        List<Integer> groups = List.of(place);
        if (space.isBlock(place)) {
            groups = space.block(place).groups();
            widths[place] = chosen.isPresent() ? 1 : 0;
        }
        int[] options = chosen.orElse(new int[0]);
        for (int i = 0; i < options.length; i++) {
            widths[groups.get(i)] = subject.widths().get(i)[options[i]];
        }
    }

    /** Narrower, where it costs more than it seemed: first what saves most for what it loses. */
    private int[] narrowed(int[] widths, double budget, boolean blocksMayGo) {
        int[] at = widths.clone();
        while (cost.of(at) > budget) {
            int best = -1;
            double most = -1;
            for (int place = 0; place < at.length; place++) {
                int narrower = space.next(place, at[place], -1);
                boolean may = space.counts(place, at) && (blocksMayGo || !space.isBlock(place));
                if (narrower != at[place] && may) {
                    double saved = cost.of(place, at) - cost.of(place, narrower, at);
                    double gain = saved / Math.max(space.more(place, narrower, at), 1e-12);
                    if (gain > most) {
                        most = gain;
                        best = place;
                    }
                }
            }
            if (best < 0) {
                return even(budget);
            }
            at[best] = space.next(best, at[best], -1);
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
            for (int place = 0; place < at.length; place++) {
                int wider = space.next(place, at[place], 1);
                if (wider == at[place] || !space.counts(place, at)) {
                    continue;
                }
                double spent = cost.of(place, wider, at) - cost.of(place, at);
                double gain = -space.more(place, wider, at);
                if (spent <= room && gain > most * Math.max(spent, 1e-12)) {
                    most = gain / Math.max(spent, 1e-12);
                    best = place;
                }
            }
            if (best < 0) {
                return at;
            }
            at[best] = space.next(best, at[best], 1);
        }
    }
}
