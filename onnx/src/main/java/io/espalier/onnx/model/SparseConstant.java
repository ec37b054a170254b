package io.espalier.onnx.model;

import io.espalier.onnx.proto.SparseTensorProto;
import io.espalier.tensor.EspalierException;

import java.lang.foreign.MemorySegment;
import java.util.List;

/** Tensors of which a file holds only some elements, and where these are; all others are zero. */
final class SparseConstant {
    private SparseConstant() {}

    /**
     * The tensor with all its elements.
     *
     * @throws EspalierException if there is not one place within its shape for each element
     */
    static ConstantTensor dense(SparseTensorProto sparse) {
        ConstantTensor values = ConstantTensor.of(sparse.getValues());
        List<Long> shape = sparse.getDimsList();
        long elements = Shape.elements(shape);
        long[] places = places(sparse, shape);
        if (places.length != values.elements() || values.type().bits() < 8) {
            throw wrong(sparse);
        }
        int size = values.type().bits() / 8;
        var bytes = MemorySegment.ofArray(new byte[Math.toIntExact(values.type().bytes(elements))]);
        for (int i = 0; i < places.length; i++) {
            if (places[i] < 0 || places[i] >= elements) {
                throw wrong(sparse);
            }
            MemorySegment.copy(values.bytes(), (long) i * size, bytes, places[i] * size, size);
        }
        return ConstantTensor.of(values.type(), shape, bytes);
    }

    /** Where the elements are, row by row: the file numbers them so, or by each dimension. */
    private static long[] places(SparseTensorProto sparse, List<Long> shape) {
        ConstantTensor indices = ConstantTensor.of(sparse.getIndices());
        long[] numbers = indices.toLongs();
        if (indices.shape().size() != 2) {
            return numbers;
        }
        int rank = shape.size();
        if (indices.shape().get(1) != rank) {
            throw wrong(sparse);
        }
        long[] places = new long[rank == 0 ? 0 : numbers.length / rank];
        for (int i = 0; i < places.length; i++) {
            for (int d = 0; d < rank; d++) {
                long number = numbers[i * rank + d];
                if (number < 0 || number >= shape.get(d)) {
                    throw wrong(sparse);
                }
                places[i] = places[i] * shape.get(d) + number;
            }
        }
        return places;
    }

    private static EspalierException wrong(SparseTensorProto sparse) {
        return new EspalierException(
                "The sparse constant '%s' has not one place in %s for each of its elements."
                        .formatted(sparse.getValues().getName(), sparse.getDimsList()));
    }
}
