package io.espalier.data;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/** Numbers of examples as libtorch's index type. */
final class Rows {
    private Rows() {}

    static void requireIn(int size, int... indices) {
        for (int index : indices) {
            if (index < 0 || index >= size) {
                throw new EspalierException(
                        "No example "
                                + index
                                + " in a dataset of "
                                + size
                                + "; numbers go from 0.");
            }
        }
    }

    /**
     * The numbers as a tensor.
     *
     * @throws EspalierException if there is no such example
     */
    static Tensor of(int size, int... indices) {
        requireIn(size, indices);
        return Tensors.of(Arrays.stream(indices).asLongStream().toArray(), indices.length);
    }
}
