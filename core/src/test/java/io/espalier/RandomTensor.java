package io.espalier;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Random;

/** Data for tests that is the same in every run. */
public final class RandomTensor {
    private RandomTensor() {}

    /** Elements from the standard normal distribution. */
    public static Tensor of(long seed, long... shape) {
        var random = new Random(seed);
        int count = (int) Arrays.stream(shape).reduce(1, Math::multiplyExact);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return Tensors.of(values, shape);
    }
}
