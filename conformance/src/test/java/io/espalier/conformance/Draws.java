package io.espalier.conformance;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** Random shapes, values and layouts of tensors. */
final class Draws {
    final Random random;

    Draws(int seed) {
        // Seeds that follow each other begin with nearly the same draw; far apart they don't.
        this.random = new Random(seed * 0x9E3779B97F4A7C15L);
    }

    /** What a tensor is filled with. */
    enum Kind {
        NORMAL,
        RELU,
        CONSTANT,
        ZERO,
        POSITIVE,
        NEGATIVE,
        OUTLIER,
        TINY,
        LARGE,
        SUBNORMAL
    }

    @SafeVarargs
    final <T> T of(T... choices) {
        return choices[random.nextInt(choices.length)];
    }

    /** So many dimensions as asked for, each of 1 to 6. */
    long[] shape(int leastDims, int mostDims) {
        return random.longs(random.nextInt(leastDims, mostDims + 1), 1, 7).toArray();
    }

    static int size(long... shape) {
        return (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    }

    float[] normal(int count, double deviation) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * deviation);
        }
        return values;
    }

    float[] uniform(int count, double from, double to) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (from + (to - from) * random.nextDouble());
        }
        return values;
    }

    float[] values(Kind kind, int count) {
        float[] values =
                switch (kind) {
                    case NORMAL, RELU, OUTLIER -> normal(count, 1);
                    case CONSTANT, ZERO -> new float[count];
                    case POSITIVE -> uniform(count, 2, 3);
                    case NEGATIVE -> uniform(count, -2, -1);
                    case TINY -> normal(count, 1e-8);
                    case LARGE -> normal(count, 1e6);
                    case SUBNORMAL -> normal(count, 1e-40);
                };
        if (kind == Kind.RELU) {
            for (int i = 0; i < count; i++) {
                values[i] = Math.max(values[i], 0);
            }
        } else if (kind == Kind.CONSTANT) {
            Arrays.fill(values, of(1.5f, -0.25f, 3e-9f, 100f));
        } else if (kind == Kind.OUTLIER && count > 0) {
            values[random.nextInt(count)] = of(50f, -50f, 1000f);
        }
        return values;
    }

    /** The values as a tensor; its elements may lie in another order of dimensions. */
    Tensor tensor(float[] values, long... shape) {
        Tensor tensor = Tensors.of(values, shape);
        if (shape.length < 2 || random.nextInt(3) > 0) {
            return tensor;
        }
        List<Integer> order = new ArrayList<>(IntStream.range(0, shape.length).boxed().toList());
        Collections.shuffle(order, random);
        long[] there = order.stream().mapToLong(d -> d).toArray();
        long[] back = new long[there.length];
        for (int d = 0; d < back.length; d++) {
            back[(int) there[d]] = d;
        }
        return tensor.permute(there).contiguous().permute(back);
    }

    /** Which index along {@code axis} the flat position {@code i} has. */
    static int channel(int i, long[] shape, int axis) {
        int stride = size(Arrays.copyOfRange(shape, axis + 1, shape.length));
        return (int) (i / stride % shape[axis]);
    }
}
