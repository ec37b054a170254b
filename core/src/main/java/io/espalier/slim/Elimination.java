package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The units of a group that go, those by which little is lost first. Each time losses are looked
 * at, several go at once: as many as lose hardly more together than apart, as those do that have
 * little to do with each other.
 */
@Internal
public final class Elimination {
    private final Group group;
    private final Map<InputCosts, Tensor> inputs;
    private final Pace pace;
    private final boolean[] gone;
    private final List<Unit> order = new ArrayList<>();

    /** How many go at once. */
    public enum Pace {
        /** For a model that is to be used. */
        CAREFUL(64, 1.1),

        /** To see about how much is lost. */
        BRISK(32, 1.5);

        /** One of so many of those left goes at once. */
        private final int together;

        /** They may lose so many times as much together as apart: twins make up for each other. */
        private final double mostMore;

        Pace(int together, double mostMore) {
            this.together = together;
            this.mostMore = mostMore;
        }
    }

    /**
     * Begins with all of them.
     *
     * @param inputs those of the group's units, integers [units, inputs of each], by what each
     *     layer that reads it loses
     */
    public Elimination(Group group, Map<InputCosts, Tensor> inputs, Pace pace) {
        this.group = group;
        this.inputs = inputs;
        this.pace = pace;
        gone = new boolean[group.units().size()];
    }

    /**
     * Takes units out until so many are left.
     *
     * @return all that are gone, in their order
     */
    public List<Unit> to(int left) {
        while (gone.length - order.size() > left) {
            next(gone.length - order.size() - left);
        }
        return order;
    }

    /**
     * Takes some out, those by which least is lost, and gives what is lost by them.
     *
     * @param most how many at most
     */
    public double next(int most) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor each = Tensors.zeros(ScalarType.Double, gone.length);
            inputs.forEach((costs, units) -> each.add_(costs.losses(units)));
            int left = gone.length - order.size();
            int count = Math.clamp(left / pace.together, 1, most);
            int[] next = least(Tensors.floats(each.to(ScalarType.Float)), count);
            double loss = together(next);
            while (next.length > 1 && loss > pace.mostMore * apart(each, next)) {
                next = Arrays.copyOf(next, next.length / 2);
                loss = together(next);
            }
            remove(next);
            return Math.max(0, loss);
        }
    }

    private int[] least(float[] losses, int count) {
        return IntStream.range(0, gone.length)
                .filter(unit -> !gone[unit])
                .boxed()
                .sorted(Comparator.comparingDouble(unit -> losses[unit]))
                .limit(count)
                .mapToInt(Integer::intValue)
                .toArray();
    }

    private static double apart(Tensor each, int[] next) {
        return IntStream.of(next).mapToDouble(unit -> each.select(0, unit).item_double()).sum();
    }

    private double together(int[] next) {
        Tensor loss = Tensors.zeros(ScalarType.Double, 1);
        inputs.forEach((costs, units) -> loss.add_(costs.losses(some(units, next).unsqueeze(0))));
        return loss.item_double();
    }

    private void remove(int[] next) {
        inputs.forEach((costs, units) -> costs.remove(some(units, next)));
        for (int unit : next) {
            gone[unit] = true;
            order.add(group.units().get(unit));
        }
    }

    /** The inputs of some units, in one row. */
    private static Tensor some(Tensor units, int[] next) {
        long[] places = IntStream.of(next).asLongStream().toArray();
        return units.index_select(0, Tensors.of(places, places.length)).reshape(-1);
    }

    /** All that are gone, in their order. */
    public List<Unit> order() {
        return order;
    }
}
