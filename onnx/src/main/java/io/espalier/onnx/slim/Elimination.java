package io.espalier.onnx.slim;

import io.espalier.slim.Group;
import io.espalier.slim.InputCosts;
import io.espalier.slim.Unit;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.stream.IntStream;

/** The units of a group that go one by one, those by which little is lost first. */
final class Elimination {
    /** All units are looked at anew when one of so many of those left has gone. */
    private static final int TOGETHER = 32;

    private final Group group;
    private final Map<InputCosts, Tensor> columns = new LinkedHashMap<>();
    private final boolean[] gone;
    private final List<Unit> order = new ArrayList<>();
    private final Queue<Integer> next = new ArrayDeque<>();

    /** Begins with what each layer that reads the group loses. */
    Elimination(Group group, Map<ReadingLayer, InputCosts> costs) {
        this.group = group;
        gone = new boolean[group.units().size()];
        costs.forEach((layer, own) -> columns.put(own, layer.columns(group)));
    }

    /** Takes one out, and gives what is lost by it. */
    double next() {
        try (var scope = new PointerScope()) {
            if (next.isEmpty()) {
                find();
            }
            int unit = next.remove();
            Tensor loss = Tensors.zeros(ScalarType.Double, 1);
            columns.forEach((own, units) -> {
                loss.add_(own.losses(units.narrow(0, unit, 1)));
                own.remove(units.select(0, unit));
            });
            gone[unit] = true;
            order.add(group.units().get(unit));
            return Math.max(0, loss.item_double());
        }
    }

    private void find() {
        Tensor losses = Tensors.zeros(ScalarType.Double, gone.length);
        columns.forEach((own, units) -> losses.add_(own.losses(units)));
        float[] each = Tensors.floats(losses.to(ScalarType.Float));
        int left = gone.length - order.size();
        IntStream.range(0, gone.length)
                .filter(unit -> !gone[unit])
                .boxed()
                .sorted(Comparator.comparingDouble(unit -> each[unit]))
                .limit(Math.max(1, left / TOGETHER))
                .forEach(next::add);
    }

    /** All that are gone, in their order. */
    List<Unit> order() {
        return order;
    }
}
