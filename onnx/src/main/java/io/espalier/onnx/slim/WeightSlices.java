package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Cut;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;

/** A weight's slices along one dimension, each met by one channel of what it is multiplied with. */
final class WeightSlices {
    private final float[] values;
    private final long[] shape;
    private final int dimension;
    private final long rows;

    /**
     * Takes the numbers of a weight of floats.
     *
     * @param groups each of which has its own rows, along the first dimension, for the same indices
     */
    WeightSlices(ConstantTensor weight, int dimension, long groups) {
        values = weight.toFloats();
        List<Long> extents = weight.shape();
        shape = extents.stream().mapToLong(Long::longValue).toArray();
        this.dimension = dimension;
        rows = groups == 1 ? 0 : shape[0] / groups;
    }

    /** Whether what a channel meets is zero, apart from what goes with the channel itself. */
    boolean isZero(int channel, ChannelValue weight, @Nullable Cut alone) {
        long length = shape[dimension];
        long inner = inner();
        long outer = values.length / Math.max(1, length * inner);
        long first = rows == 0 ? 0 : channel / length * rows;
        long last = rows == 0 ? outer : first + rows;
        for (long o = first; o < last; o++) {
            long at = (o * length + channel % length) * inner;
            for (long k = at; k < at + inner; k++) {
                if (values[(int) k] != 0 && (alone == null || isLeft(k, weight, alone))) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Sets what a channel meets to zero in a copy of the weight's numbers. */
    void clear(int channel, double[] numbers) {
        long length = shape[dimension];
        long inner = inner();
        long outer = values.length / Math.max(1, length * inner);
        long first = rows == 0 ? 0 : channel / length * rows;
        long last = rows == 0 ? outer : first + rows;
        for (long o = first; o < last; o++) {
            int at = (int) ((o * length + channel % length) * inner);
            Arrays.fill(numbers, at, (int) (at + inner), 0);
        }
    }

    private long inner() {
        long inner = 1;
        for (int d = dimension + 1; d < shape.length; d++) {
            inner *= shape[d];
        }
        return inner;
    }

    private boolean isLeft(long place, ChannelValue weight, Cut alone) {
        long rest = place;
        for (int d = shape.length - 1; d >= 0; d--) {
            if (d != dimension && !alone.isKept(weight.axes().get(d), rest % shape[d])) {
                return false;
            }
            rest /= shape[d];
        }
        return true;
    }
}
