package io.espalier.slim;

import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
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

    /** The least share of a group's units that are gone where it is looked at what results lose. */
    private static final double PROBED = 0.25;

    /**
     * The least loss there: of units that give nothing, or what others give too, a quarter may cost
     * nothing but rounding, which says nothing of those that are left.
     */
    private static final double TELLING = 1e-3;

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
        int least = least(count);
        int probed = probed(count);
        OptionalDouble factor = OptionalDouble.empty();
        for (int gone = 0; gone < count - least; ) {
            int most = gone < probed ? probed - gone : count - least - gone;
            double loss = elimination.next(most);
            int together = elimination.order().size() - gone;
            for (int i = 1; i <= together; i++) {
                losses[gone + i] = losses[gone] + loss * i / together;
            }
            gone += together;
            boolean tells = gone == count - least || losses[gone] >= TELLING;
            if (factor.isEmpty() && gone >= probed && tells) {
                double seen = drop.applyAsDouble(List.copyOf(elimination.order()), losses[gone]);
                if (losses[gone] == 0 && seen > LEAST_DROP) {
                    // Nobody who is weighed misses them, but others do, of whom no more is known.
                    Arrays.setAll(losses, i -> i > count - least ? losses[i] : i);
                }
                factor = OptionalDouble.of(factor(seen, losses[gone]));
            }
        }
        return new LossCurve(elimination.order(), losses, by).times(factor.orElse(1));
    }

    /**
     * By what is lost by each unit, whichever others are gone: as sums, so that where a quarter or
     * more is gone it is what the results really lose.
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
        int least = least(count);
        int probed = probed(count);
        while (probed < count - least && sums[probed] < TELLING * sums[count - least]) {
            probed++;
        }
        double seen = sums[probed] > 0 ? drop.applyAsDouble(order.subList(0, probed)) : 0;
        double factor = factor(seen, sums[probed]);
        Arrays.fill(sums, count - least + 1, count, Double.POSITIVE_INFINITY);
        return new LossCurve(order, sums, by).times(factor);
    }

    private static int probed(int count) {
        return Math.max(1, (int) Math.round(PROBED * count));
    }

    private static int least(int count) {
        return Math.max(1, (int) (NARROWEST * count));
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
