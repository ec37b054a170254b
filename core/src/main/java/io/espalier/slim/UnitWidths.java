package io.espalier.slim;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;

import org.jspecify.annotations.Nullable;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** How many units of a group stay, and which. */
@Internal
public final class UnitWidths {
    /** Widths from here on stay multiples of what kernels take at once. */
    private static final int WIDE = 128;

    private static final int NARROW = 32;
    private static final int LANES = 16;

    private UnitWidths() {}

    /**
     * How many stay: of wide groups multiples of what kernels take at once.
     *
     * @param ratio the share of the units that stays, in (0, 1]
     */
    public static int of(Group group, double ratio) {
        int count = group.units().size();
        int step = step(group);
        // Halves go down, so that no more stays than was asked for.
        long steps = (long) Math.ceil(ratio * count / step - 0.5);
        return Math.clamp(steps * step, Math.min(step, count), count);
    }

    /** The same of several groups. */
    public static int[] of(List<Group> groups, double ratio) {
        return groups.stream().mapToInt(group -> of(group, ratio)).toArray();
    }

    /** All widths that a group may have, ascending. */
    public static int[] all(Group group) {
        int step = step(group);
        return IntStream.rangeClosed(1, group.units().size() / step).map(i -> i * step).toArray();
    }

    private static int step(Group group) {
        int count = group.units().size();
        boolean single =
                group.units().getFirst().slices().values().stream().allMatch(i -> i.length == 1);
        int lanes = count >= WIDE ? LANES : count >= NARROW ? LANES / 2 : 1;
        return single && count % lanes == 0 ? lanes : 1;
    }

    /** What goes of groups of which so many units stay, where it is the same which. */
    public static List<Unit> last(List<Group> groups, int[] widths) {
        return IntStream.range(0, widths.length)
                .boxed()
                .flatMap(g -> groups.get(g).units().stream().skip(widths[g]))
                .toList();
    }

    /**
     * Refuses scores by which units can't be told apart.
     *
     * @throws EspalierException unless there is one for each unit of a group, each a finite number
     */
    public static void requireScores(Group group, double @Nullable [] given) {
        double[] scores = Needed.of(given, "the scores of group " + group.place());
        int count = group.units().size();
        if (scores.length != count) {
            throw new EspalierException(
                    "Group %s has %d units and got %d scores; give one for each."
                            .formatted(group.place(), count, scores.length));
        }
        for (int unit = 0; unit < count; unit++) {
            if (!Double.isFinite(scores[unit])) {
                throw new EspalierException(
                        "Unit %d of group %s got the score %s; scores are finite numbers, and so must be the weights that they come from."
                                .formatted(unit, group.place(), scores[unit]));
            }
        }
    }

    /** So many of these units whose scores are the lowest, of equal ones the first. */
    public static List<Unit> lowest(List<Unit> units, double[] scores, int count) {
        return IntStream.range(0, units.size())
                .boxed()
                .sorted(Comparator.comparingDouble(i -> scores[i]))
                .limit(count)
                .<Unit>map(units::get)
                .toList();
    }
}
