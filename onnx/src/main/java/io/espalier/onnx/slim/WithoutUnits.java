package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.slim.Place;
import io.espalier.slim.Unit;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;

/** Constants that are as large as they were, and zero where units go. */
final class WithoutUnits {
    private WithoutUnits() {}

    /**
     * The constants of a graph that get zeros; of those that went with a block there are none.
     *
     * @param where the dimensions of constants along which they do
     */
    static Map<String, ConstantTensor> constants(
            OnnxGraph graph, Collection<Unit> units, Predicate<Place> where) {
        Map<Place, int[]> indices = new HashMap<>();
        for (Unit unit : units) {
            unit.slices()
                    .forEach((place, own) -> {
                        if (where.test(place) && graph.constant(place.constant()) != null) {
                            indices.merge(place, own, WithoutUnits::both);
                        }
                    });
        }
        Map<String, ConstantTensor> zeroed = new HashMap<>();
        indices.forEach((place, gone) -> {
            ConstantTensor before =
                    zeroed.getOrDefault(place.constant(), graph.constant(place.constant()));
            zeroed.put(
                    place.constant(),
                    zeroed(Objects.requireNonNull(before), place.dimension(), gone));
        });
        return zeroed;
    }

    private static int[] both(int[] some, int[] others) {
        int[] all = Arrays.copyOf(some, some.length + others.length);
        System.arraycopy(others, 0, all, some.length, others.length);
        return all;
    }

    private static ConstantTensor zeroed(ConstantTensor constant, int dimension, int[] indices) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            long[] gone = Arrays.stream(indices).asLongStream().toArray();
            Tensor numbers = constant.toTensor().clone();
            numbers.index_fill_(dimension, Tensors.of(gone, gone.length), new Scalar(0));
            return constant.withBytes(ConstantTensor.of(numbers).bytes());
        }
    }
}
