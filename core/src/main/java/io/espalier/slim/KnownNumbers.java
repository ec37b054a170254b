package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/**
 * Channels of a value that are one number everywhere, whatever the input.
 *
 * @param dimension along which the channels lie
 * @param numbers one for each channel; NaN for one that is not known to be one number
 */
@Internal
@SuppressWarnings("ArrayRecordComponent") // Never compared.
public record KnownNumbers(int dimension, double[] numbers) {
    /** Numbers as a tensor of a type. */
    public static Tensor tensor(double[] numbers, ScalarType type, long... shape) {
        Tensor wide = Tensors.empty(ScalarType.Double, shape);
        MemorySegment.copy(
                numbers, 0, Tensors.segment(wide), ValueLayout.JAVA_DOUBLE, 0, numbers.length);
        return wide.to(type);
    }

    /** Whether a channel is one number. */
    public boolean isKnown(int channel) {
        return !Double.isNaN(numbers[channel]);
    }

    /** Whether a channel is zero. */
    public boolean isZero(int channel) {
        return numbers[channel] == 0;
    }

    /** Whether any is known. */
    public boolean isAny() {
        return IntStream.range(0, numbers.length).anyMatch(this::isKnown);
    }

    /** The same channels along another dimension. */
    public KnownNumbers along(int other) {
        return new KnownNumbers(other, numbers);
    }

    /** Other channels along the same dimension. */
    public KnownNumbers with(int count, IntToDoubleFunction number) {
        return new KnownNumbers(dimension, IntStream.range(0, count).mapToDouble(number).toArray());
    }

    /** Of an operator that leaves this number as it is everywhere, but no other. */
    public KnownNumbers only(double number) {
        return with(numbers.length, i -> numbers[i] == number ? number : Double.NaN);
    }

    /**
     * What is left of them in another shape of as many elements: the channels stay one dimension,
     * are joined with those before and after them, or become several dimensions, along one of which
     * they are known where they are the same along the others; null if they are not.
     */
    public @Nullable KnownNumbers reshaped(long[] from, long[] to) {
        long before = product(from, 0, dimension);
        for (int d = to.length - 1; d >= 0; d--) {
            long start = product(to, 0, d);
            if (start <= 0 || before % start != 0 || to[d] > Integer.MAX_VALUE) {
                continue;
            }
            long repeated = before / start;
            if (to[d] > 1 && to[d] % (repeated * numbers.length) == 0) {
                int each = (int) (to[d] / repeated / numbers.length);
                return along(d).with((int) to[d], i -> numbers[i / each % numbers.length]);
            }
            if (repeated == 1 && to[d] > 1) {
                return divided(to, d);
            }
        }
        return null;
    }

    /** Along the dimension of several, from the first on, along which most are known. */
    private @Nullable KnownNumbers divided(long[] to, int first) {
        int end = first + 1;
        while (end < to.length && product(to, first, end) < numbers.length) {
            end++;
        }
        if (product(to, first, end) != numbers.length) {
            return null;
        }
        KnownNumbers most = null;
        for (int d = first; d < end; d++) {
            KnownNumbers along = along(d).with((int) to[d], common(to, d, end));
            if (to[d] > 1 && (most == null || along.share() > most.share())) {
                most = along;
            }
        }
        return most;
    }

    /** What all have that lie at one place along a dimension; NaN where they differ. */
    private IntToDoubleFunction common(long[] to, int along, int end) {
        int inner = (int) product(to, along + 1, end);
        int extent = (int) to[along];
        return place -> {
            double[] all =
                    IntStream.range(0, numbers.length)
                            .filter(i -> i / inner % extent == place)
                            .mapToDouble(i -> numbers[i])
                            .distinct()
                            .toArray();
            return all.length == 1 ? all[0] : Double.NaN;
        };
    }

    private double share() {
        return (double) IntStream.range(0, numbers.length).filter(this::isKnown).count()
                / numbers.length;
    }

    private static long product(long[] extents, int from, int to) {
        return Arrays.stream(extents, from, to).reduce(1, (a, b) -> a * b);
    }

    /**
     * Where places in a block become channels: blocks of all channels one after another, or the
     * block of each channel.
     */
    public KnownNumbers blocksToChannels(int blocks, boolean blocksFirst) {
        int count = numbers.length;
        return with(count * blocks, i -> numbers[blocksFirst ? i % count : i / blocks]);
    }

    /** The other way: a channel is one number where all that it is made of are the same. */
    public KnownNumbers channelsToBlocks(int blocks, boolean blocksFirst) {
        int count = numbers.length / blocks;
        return with(
                count,
                i -> {
                    double first = numbers[blocksFirst ? i : i * blocks];
                    boolean same =
                            IntStream.range(0, blocks)
                                    .map(b -> blocksFirst ? b * count + i : i * blocks + b)
                                    .allMatch(at -> numbers[at] == first);
                    return same ? first : Double.NaN;
                });
    }
}
