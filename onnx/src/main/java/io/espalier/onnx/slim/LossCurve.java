package io.espalier.onnx.slim;

import io.espalier.slim.Group;
import io.espalier.slim.Unit;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What is lost as the units of a group go one after another.
 *
 * @param order all units but one, the first to go first
 * @param losses when so many are gone, from none on: as many as there are units
 * @param by what it was found by, in words
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
record LossCurve(List<Unit> order, double[] losses, String by) {
    /** Of nothing that is left no logarithm can be taken. */
    private static final double LEAST = 1e-6;

    /**
     * By scores: of what all units together have, the share that is gone, as the logarithm of what
     * is left, since what is left of one layer goes through the next.
     */
    static LossCurve ofScores(Group group, double[] scores, String by) {
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
            losses[i] = -Math.log(Math.max(1 - losses[i] / sum, LEAST));
        }
        return new LossCurve(
                IntStream.of(order).limit(units.size() - 1L).<Unit>mapToObj(units::get).toList(),
                losses,
                by);
    }

    /** The units that go of which so many stay. */
    List<Unit> gone(int width) {
        return order.subList(0, losses.length - width);
    }

    /** The same losses, times a number. */
    LossCurve times(double factor) {
        return new LossCurve(order, Arrays.stream(losses).map(loss -> loss * factor).toArray(), by);
    }
}
