package io.espalier.data;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/** Numbers of examples as libtorch's index type. */
final class Rows {
    private Rows() {}

    static Tensor of(int... indices) {
        return Tensors.of(Arrays.stream(indices).asLongStream().toArray(), indices.length);
    }
}
