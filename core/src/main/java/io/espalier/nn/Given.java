package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;

/** Tensors that a layer is given, in place of such as it would draw. */
final class Given {
    private Given() {}

    /**
     * Adds a parameter of this shape, or none where {@code null} is given.
     *
     * @throws EspalierException if it has another shape
     */
    static void add(Module layer, String name, @Nullable Tensor tensor, long... shape) {
        if (tensor != null) {
            layer.addParameter(name, checked(layer.typeName(), name, tensor, shape));
        }
    }

    /**
     * The tensor itself.
     *
     * @throws EspalierException if it is null or has another shape
     */
    static Tensor checked(String layer, String name, @Nullable Tensor tensor, long... shape) {
        if (tensor == null || !Arrays.equals(Tensors.shape(tensor), shape)) {
            throw new EspalierException(
                    layer
                            + " takes a tensor '"
                            + name
                            + "' of shape "
                            + Arrays.toString(shape)
                            + "; it was given "
                            + (tensor == null
                                    ? "null."
                                    : "one of " + Arrays.toString(Tensors.shape(tensor)) + "."));
        }
        return tensor;
    }

    /**
     * Refuses a weight of other dimensions, or without elements.
     *
     * @throws EspalierException if it has them, or is null
     */
    static void requireDimensions(String layer, @Nullable Tensor weight, int dimensions) {
        if (weight == null
                || Tensors.requireLive(weight).dim() != dimensions
                || weight.numel() == 0) {
            throw new EspalierException(
                    layer
                            + " takes a weight of "
                            + dimensions
                            + " dimensions, none of them empty; it was given "
                            + (weight == null
                                    ? "null."
                                    : "one of shape "
                                            + Arrays.toString(Tensors.shape(weight))
                                            + "."));
        }
    }

    /**
     * The number of elements.
     *
     * @throws EspalierException if the tensor is null
     */
    static long count(String layer, String name, @Nullable Tensor tensor) {
        if (tensor == null) {
            throw new EspalierException(
                    layer + " takes a tensor '" + name + "'; it was given null.");
        }
        return Tensors.requireLive(tensor).numel();
    }
}
