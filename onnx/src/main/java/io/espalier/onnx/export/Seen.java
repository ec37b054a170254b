package io.espalier.onnx.export;

import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;

/**
 * What a value of the graph was in the example's run.
 *
 * @param type its elements; FLOAT where they are quantized, since the file computes with floats
 * @param shape its extents
 * @param range how its integers stand for numbers; null if it is not quantized
 */
record Seen(ElementType type, List<Long> shape, @Nullable Range range) {
    static Seen of(Tensor tensor) {
        Range range = Range.of(tensor);
        return new Seen(
                range == null ? Weights.type(Tensors.type(tensor)) : ElementType.FLOAT,
                Arrays.stream(Tensors.shape(tensor)).boxed().toList(),
                range);
    }

    int rank() {
        return shape.size();
    }

    /** A dimension counted from the first, also where it is given from the end. */
    int axis(long dim) {
        return Math.toIntExact(dim < 0 ? dim + Math.max(1, rank()) : dim);
    }

    /** The extent along a dimension. */
    long extent(long dim) {
        return shape.get(axis(dim));
    }
}
