package io.espalier.slim;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Channels of a value that are one number everywhere, whatever the input.
 *
 * @param dimension along which the channels lie
 * @param numbers one for each channel; NaN for one that is not known to be one number
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
record KnownNumbers(int dimension, double[] numbers) {
    /** Numbers as a tensor of a type. */
    static Tensor tensor(double[] numbers, ScalarType type, long... shape) {
        Tensor wide = Tensors.empty(ScalarType.Double, shape);
        MemorySegment.copy(
                numbers, 0, Tensors.segment(wide), ValueLayout.JAVA_DOUBLE, 0, numbers.length);
        return wide.to(type);
    }

    boolean isKnown(int channel) {
        return !Double.isNaN(numbers[channel]);
    }

    boolean isZero(int channel) {
        return numbers[channel] == 0;
    }

    boolean isAny() {
        for (double number : numbers) {
            if (!Double.isNaN(number)) {
                return true;
            }
        }
        return false;
    }
}
