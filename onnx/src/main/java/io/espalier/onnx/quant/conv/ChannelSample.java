package io.espalier.onnx.quant.conv;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Means, extremes and some of the numbers of each channel, [N, C, …], over all that was added. */
final class ChannelSample {
    private static final int SIZE = 1 << 16;

    private final ChannelMeans means = new ChannelMeans();
    private final float[] values = new float[SIZE];
    private final int[] channels = new int[SIZE];
    private float[] least = {};
    private float[] largest = {};
    private int count;
    private long step = 1;
    private long seen;

    /** Adds a batch. */
    void add(Tensor tensor) {
        means.add(tensor);
        try (var scope = new PointerScope()) {
            Tensor plain = tensor.contiguous();
            Tensor rows = plain.reshape(plain.size(0), plain.size(1), -1);
            extremes(
                    Tensors.floats(rows.amin(new long[] {0, 2}, false)),
                    Tensors.floats(rows.amax(new long[] {0, 2}, false)));
            take(Tensors.segment(plain), plain.numel(), rows.size(2), plain.size(1));
        }
    }

    private void extremes(float[] low, float[] high) {
        if (least.length == 0) {
            least = low;
            largest = high;
            return;
        }
        for (int c = 0; c < low.length; c++) {
            least[c] = Math.min(least[c], low[c]);
            largest[c] = Math.max(largest[c], high[c]);
        }
    }

    /** Takes each {@code step}-th number; when there is no room, each second one goes. */
    private void take(MemorySegment data, long size, long positions, long channelCount) {
        for (long i = Math.floorMod(-seen, step); i < size; i += step) {
            if (count == SIZE) {
                thin();
                i = Math.ceilDiv(seen + i, step) * step - seen;
                if (i >= size) {
                    break;
                }
            }
            values[count] = data.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            channels[count++] = (int) (i / positions % channelCount);
        }
        seen += size;
    }

    private void thin() {
        for (int i = 0; i < SIZE / 2; i++) {
            values[i] = values[2 * i];
            channels[i] = channels[2 * i];
        }
        count = SIZE / 2;
        step *= 2;
    }

    double[] means() {
        return means.means();
    }

    /** The numbers as they are. */
    Sample unshifted() {
        return shifted(new float[least.length]);
    }

    /** The same numbers with something added to each channel. */
    Sample shifted(float[] added) {
        float low = Float.POSITIVE_INFINITY;
        float high = Float.NEGATIVE_INFINITY;
        for (int c = 0; c < least.length; c++) {
            low = Math.min(low, least[c] + added[c]);
            high = Math.max(high, largest[c] + added[c]);
        }
        float[] moved = Arrays.copyOf(values, count);
        for (int i = 0; i < count; i++) {
            moved[i] += added[channels[i]];
        }
        return new Sample(moved, low, high);
    }
}
