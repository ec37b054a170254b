package io.espalier.quant.layer;

import io.espalier.tensor.BoundOperator;

import org.bytedeco.pytorch.Tensor;

import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * What an activation or a normalization is in integers: how it prints, and the kernel that takes
 * its input.
 *
 * @param name what it prints as
 * @param printed what is printed between the parentheses
 * @param channels how many its input must have; below 2 the kernel takes any number
 * @param rank how many dimensions its input must have; 0 if the kernel takes any number
 * @param kernel makes it of a layer's range and tensors; it must hold none of these itself, so that
 *     copies are right
 * @param floats the same of floats, not rounded; nor must this hold any
 * @param completed called once with the new layer, which has the float layer's tensors
 */
record Operation(
        String name,
        String printed,
        long channels,
        int rank,
        Function<QuantizedOperation, BoundOperator> kernel,
        BiFunction<QuantizedOperation, Tensor, Tensor> floats,
        Consumer<QuantizedOperation> completed) {
    static Operation of(
            String name,
            Function<QuantizedOperation, BoundOperator> kernel,
            BiFunction<QuantizedOperation, Tensor, Tensor> floats) {
        return new Operation(name, "", 0, 0, kernel, floats, layer -> {});
    }

    Operation printing(String text) {
        return new Operation(name, text, channels, rank, kernel, floats, completed);
    }

    Operation channels(long count) {
        return new Operation(name, printed, count, rank, kernel, floats, completed);
    }

    Operation rank(int dimensions) {
        return new Operation(name, printed, channels, dimensions, kernel, floats, completed);
    }

    Operation completedBy(Consumer<QuantizedOperation> step) {
        return new Operation(name, printed, channels, rank, kernel, floats, step);
    }
}
