package io.espalier.quant.layer;

import io.espalier.tensor.BoundOperator;

import java.util.function.Consumer;
import java.util.function.Function;

/**
 * What an activation or a normalization is in integers: how it prints, and the kernel that takes
 * its input.
 *
 * @param name what it prints as
 * @param printed what is printed between the parentheses
 * @param channels how many its input must have; below 2 the kernel takes any number
 * @param kernel makes it of a layer's range and tensors; it must hold none of these itself, so that
 *     copies are right
 * @param completed called once with the new layer, which has the float layer's tensors
 */
record Operation(
        String name,
        String printed,
        long channels,
        Function<QuantizedOperation, BoundOperator> kernel,
        Consumer<QuantizedOperation> completed) {
    static Operation of(String name, Function<QuantizedOperation, BoundOperator> kernel) {
        return new Operation(name, "", 0, kernel, layer -> {});
    }

    Operation printing(String text) {
        return new Operation(name, text, channels, kernel, completed);
    }

    Operation channels(long count) {
        return new Operation(name, printed, count, kernel, completed);
    }

    Operation completedBy(Consumer<QuantizedOperation> step) {
        return new Operation(name, printed, channels, kernel, step);
    }
}
