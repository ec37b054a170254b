package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

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
}
