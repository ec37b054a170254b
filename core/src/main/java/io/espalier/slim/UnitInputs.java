package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Which inputs of the layers that read a group are those of its units. */
@Internal
public final class UnitInputs {
    private UnitInputs() {}

    /**
     * The inputs of each unit of a group to one layer.
     *
     * @param place where the group's channels are in the layer's weight
     * @param each how many inputs of the layer a channel is
     * @return integers [units, inputs of each], of the caller's scope
     */
    public static Tensor of(Group group, Place place, long each) {
        int count = group.units().size();
        int inputs = Math.toIntExact(indices(group.units().getFirst(), place).length * each);
        var all = new long[count * inputs];
        int at = 0;
        for (Unit unit : group.units()) {
            for (int index : indices(unit, place)) {
                for (long k = 0; k < each; k++) {
                    all[at++] = index * each + k;
                }
            }
        }
        return Tensors.of(all, count, inputs);
    }

    private static int[] indices(Unit unit, Place place) {
        return Objects.requireNonNull(unit.slices().get(place));
    }

    /**
     * Takes units out one by one, the next always that by which all layers together lose least.
     *
     * @param inputs those of the group's units, by what each layer that reads it loses
     * @param left how many units stay
     * @return those that go, in their order
     */
    public static List<Unit> takeOut(Group group, Map<InputCosts, Tensor> inputs, int left) {
        List<Unit> gone = new ArrayList<>();
        int count = group.units().size();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor taken = Tensors.zeros(ScalarType.Double, count);
            for (int i = left; i < count; i++) {
                try (var inner = new PointerScope()) {
                    Tensor losses = taken.clone();
                    inputs.forEach((costs, units) -> losses.add_(costs.losses(units)));
                    long least = losses.argmin().item_long();
                    inputs.forEach((costs, units) -> costs.remove(units.select(0, least)));
                    taken.select(0, least).fill_(new Scalar(Double.POSITIVE_INFINITY));
                    gone.add(group.units().get((int) least));
                }
            }
        }
        return gone;
    }
}
