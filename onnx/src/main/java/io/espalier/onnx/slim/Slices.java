package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.tensor.EspalierException;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Some of a constant's slices along one dimension, of any elements. */
final class Slices {
    private Slices() {}

    /** The slices of these indices. */
    static ConstantTensor keep(ConstantTensor constant, int dimension, int[] indices) {
        List<Long> shape = constant.shape();
        long length = shape.get(dimension);
        long outer = product(shape.subList(0, dimension));
        long inner = product(shape.subList(dimension + 1, shape.size()));
        long bytes = inner * constant.type().bits() / 8;
        MemorySegment from = constant.bytes();
        MemorySegment to = room(outer * indices.length * bytes);
        for (long i = 0; i < outer; i++) {
            for (int j = 0; j < indices.length; j++) {
                MemorySegment.copy(
                        from,
                        (i * length + indices[j]) * bytes,
                        to,
                        (i * indices.length + j) * bytes,
                        bytes);
            }
        }
        var extents = new ArrayList<>(shape);
        extents.set(dimension, (long) indices.length);
        return ConstantTensor.of(constant.type(), extents, to);
    }

    private static long product(List<Long> extents) {
        return extents.stream().reduce(1L, (a, b) -> a * b);
    }

    private static MemorySegment room(long bytes) {
        if (bytes > Integer.MAX_VALUE - 8) {
            throw new EspalierException(
                    "A weight of %d MB is left, more than can be cut at once."
                            .formatted(bytes / 1_000_000));
        }
        return MemorySegment.ofArray(new byte[(int) bytes]);
    }
}
