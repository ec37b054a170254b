package io.espalier.slim;

import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleBiFunction;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * What is lost as the units of a group go one after another.
 *
 * @param order all units but one, the first to go first
 * @param losses when so many are gone, from none on: as many as there are units
 * @param by what it was found by, in words
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
@Internal
public record LossCurve(List<Unit> order, double[] losses, String by) {
    /** Of nothing that is left no logarithm can be taken. */
    private static final double LEAST = 1e-6;

    /** The shares of a group's units that are gone where it is looked at what results lose. */
    private static final double[] PROBED = {0.25, 0.5, 0.75};

    /** What is lost in rounding at a quarter gone may well be seen at seven eighths. */
    private static final double LEAST_DROP = 1e-7;

    /** Groups don't get narrower than this share of what they were. */
    private static final double NARROWEST = 0.125;

    /**
     * By scores: of what all units together have, the share that is gone, as the logarithm of what
     * is left, since what is left of one layer goes through the next.
     */
    public static LossCurve ofScores(Group group, double[] scores, String by) {
        List<Unit> units = group.units();
        int[] order =
                IntStream.range(0, scores.length)
                        .boxed()
                        .sorted(Comparator.comparingDouble(i -> scores[i]))
                        .mapToInt(i -> i)
                        .toArray();
        double least = Math.min(0, scores[order[0]]);
        double sum = 0;
        double[] losses = new double[scores.length];
        for (int i = 0; i < order.length; i++) {
            losses[i] = sum;
            sum += scores[order[i]] - least;
        }
        for (int i = 0; i < order.length && sum > 0; i++) {
            losses[i] = Math.max(0, -Math.log(Math.max(1 - losses[i] / sum, LEAST)));
        }
        return new LossCurve(
                IntStream.of(order).limit(units.size() - 1L).<Unit>mapToObj(units::get).toList(),
                losses,
                by);
    }

    /**
     * By what the layers that read it lose as its units go.
     *
     * @param inputs those of the group's units, by what each layer that reads it loses
     * @param drop what the results lose without these units, which are gone until then, and by
     *     which layers lose so much
     */
    public static LossCurve byElimination(
            Group group,
            Map<InputCosts, Tensor> inputs,
            ToDoubleBiFunction<List<Unit>, Double> drop,
            String by) {
        var elimination = new Elimination(group, inputs, Elimination.Pace.BRISK);
        int count = group.units().size();
        double[] losses = new double[count];
        Arrays.fill(losses, Double.POSITIVE_INFINITY);
        losses[0] = 0;
        int most = count - least(count);
        var seen = new Seen(count);
        for (int gone = 0; gone < most; ) {
            double loss = elimination.next(Math.min(seen.next(), most) - gone);
            int together = elimination.order().size() - gone;
            for (int i = 1; i <= together; i++) {
                losses[gone + i] = losses[gone] + loss * i / together;
            }
            gone += together;
            if (gone == seen.next()) {
                seen.add(drop.applyAsDouble(List.copyOf(elimination.order()), losses[gone]));
            }
        }
        return new LossCurve(elimination.order(), seen.scaled(losses), by);
    }

    /**
     * By what is lost by each unit, whichever others are gone: as sums, so that where some are gone
     * it is what the results really lose.
     *
     * @param losses in any unit, 0 or more
     * @param drop what the results lose without these units
     */
    public static LossCurve ofSums(
            Group group, double[] losses, ToDoubleFunction<List<Unit>> drop, String by) {
        int count = losses.length;
        List<Unit> order = UnitWidths.lowest(group.units(), losses, count - 1);
        double[] sorted = Arrays.stream(losses).sorted().toArray();
        double[] sums = new double[count];
        for (int gone = 1; gone < count; gone++) {
            sums[gone] = sums[gone - 1] + sorted[gone - 1];
        }
        int most = count - least(count);
        Arrays.fill(sums, most + 1, count, Double.POSITIVE_INFINITY);
        var seen = new Seen(count);
        while (seen.next() <= most) {
            seen.add(drop.applyAsDouble(order.subList(0, seen.next())));
        }
        return new LossCurve(order, seen.scaled(sums), by);
    }

    private static int least(int count) {
        return Math.max(1, (int) (NARROWEST * count));
    }

    /** What results were seen to lose where some units are gone. */
    private static final class Seen {
        private final int count;
        private final List<Integer> gone = new ArrayList<>();
        private final List<Double> drops = new ArrayList<>();

        Seen(int count) {
            this.count = count;
        }

        /** With how many gone it is looked at next; more than there are after the last. */
        int next() {
            if (gone.size() == PROBED.length) {
                return count + 1;
            }
            int wanted = (int) Math.round(PROBED[gone.size()] * count);
            int last = gone.isEmpty() ? 0 : gone.getLast();
            return Math.max(last + 1, Math.min(wanted, count - least(count)));
        }

        void add(double drop) {
            gone.add(next());
            drops.add(drop);
        }

        /** Losses that are what was seen where something was, and go on as from the last place. */
        double[] scaled(double[] losses) {
            double[] scaled = losses.clone();
            int from = 0;
            for (int n = 0; n < gone.size(); n++) {
                int to = gone.get(n);
                int end = n == gone.size() - 1 ? losses.length - 1 : to;
                double more = drops.get(n) - scaled[from];
                double foreseen = losses[to] - losses[from];
                double factor = factor(more, foreseen);
                for (int i = from + 1; i <= end; i++) {
                    // Where nobody who is weighed misses them, others may.
                    double own =
                            foreseen > 0 || Double.isInfinite(losses[i])
                                    ? (losses[i] - losses[from]) * factor
                                    : Math.max(more, 0) * (i - from) / (to - from);
                    scaled[i] = scaled[from] + own;
                }
                from = to;
            }
            return scaled;
        }
    }

    /** What losses are multiplied by to be what is seen of the results. */
    private static double factor(double seen, double loss) {
        return loss > 0 ? Math.max(seen, Math.min(LEAST_DROP, loss)) / loss : 1;
    }

    /** The units that go of which so many stay. */
    public List<Unit> gone(int width) {
        return order.subList(0, losses.length - width);
    }

    /** The same losses, times a number. */
    public LossCurve times(double factor) {
        return new LossCurve(order, Arrays.stream(losses).map(loss -> loss * factor).toArray(), by);
    }
}
