package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;

import java.util.ArrayList;
import java.util.List;

/** Some of a weight's rows or columns. */
final class Channels {
    private Channels() {}

    /** The slices of these places along one dimension. */
    static ConstantTensor keep(ConstantTensor weights, int axis, int[] places) {
        List<Long> shape = weights.shape();
        int inner = extent(shape.subList(axis + 1, shape.size()));
        int outer = extent(shape.subList(0, axis));
        int length = Math.toIntExact(shape.get(axis));
        float[] values = weights.toFloats();
        var kept = new float[outer * places.length * inner];
        for (int i = 0; i < outer; i++) {
            for (int j = 0; j < places.length; j++) {
                System.arraycopy(
                        values,
                        (i * length + places[j]) * inner,
                        kept,
                        (i * places.length + j) * inner,
                        inner);
            }
        }
        var extents = new ArrayList<>(shape);
        extents.set(axis, (long) places.length);
        return ConstantTensor.floats(extents, kept);
    }

    private static int extent(List<Long> extents) {
        return Math.toIntExact(extents.stream().reduce(1L, (a, b) -> a * b));
    }
}
