package io.espalier.onnx.slim;

import io.espalier.slim.Group;
import io.espalier.slim.InputCosts;
import io.espalier.slim.Unit;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** The units of a group that go, those by which little is lost first. */
final class Elimination {
    /** One of so many of those left goes at once. */
    private static final int TOGETHER = 32;

    /** They may lose so many times as much together as apart: twins make up for each other. */
    private static final double MOST_MORE = 1.5;

    private final Group group;
    private final Map<InputCosts, Tensor> columns = new LinkedHashMap<>();
    private final boolean[] gone;
    private final List<Unit> order = new ArrayList<>();

    /** Begins with what each layer that reads the group loses. */
    Elimination(Group group, Map<ReadingLayer, InputCosts> costs) {
        this.group = group;
        gone = new boolean[group.units().size()];
        costs.forEach((layer, own) -> columns.put(own, layer.inputs(group)));
    }

    /**
     * Takes some out, those by which least is lost, and gives what is lost by them.
     *
     * @param most how many at most
     */
    double next(int most) {
        try (var scope = new PointerScope()) {
            Tensor each = Tensors.zeros(ScalarType.Double, gone.length);
            columns.forEach((own, units) -> each.add_(own.losses(units)));
            int left = gone.length - order.size();
            int count = Math.clamp(left / TOGETHER, 1, most);
            int[] next = least(Tensors.floats(each.to(ScalarType.Float)), count);
            double loss = together(next);
            while (next.length > 1 && loss > MOST_MORE * apart(each, next)) {
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
        columns.forEach((own, units) -> loss.add_(own.losses(some(units, next).unsqueeze(0))));
        return loss.item_double();
    }

    private void remove(int[] next) {
        columns.forEach((own, units) -> own.remove(some(units, next)));
        for (int unit : next) {
            gone[unit] = true;
            order.add(group.units().get(unit));
        }
    }

    /** The columns of some units, in one row. */
    private static Tensor some(Tensor units, int[] next) {
        long[] places = IntStream.of(next).asLongStream().toArray();
        return units.index_select(0, Tensors.of(places, places.length)).reshape(-1);
    }

    /** All that are gone, in their order. */
    List<Unit> order() {
        return order;
    }
}
