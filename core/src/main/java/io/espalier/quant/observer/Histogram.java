package io.espalier.quant.observer;

import io.espalier.tensor.Parallel;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * Counts of values in equal bins over a range.
 *
 * @param counts how many values fell into each bin; fractions where bins were redistributed
 * @param min where the first bin begins
 * @param max where the last bin ends; a value of {@code max} itself is in the last bin
 */
@SuppressWarnings("ArrayRecordComponent") // never compared, and its counts never changed
record Histogram(float[] counts, float min, float max) {
    /** Each bin is cut into so many before it is redistributed (PyTorch's upsample rate). */
    private static final int UPSAMPLE = 16;

    /**
     * Neighbours are counted in tables of their own, so that equal values don't wait on each other;
     * more than two tables don't stay in the first-level cache.
     */
    private static final int TABLES = 2;

    /** Values located at a time; their bins stay in the first-level cache. */
    private static final int BLOCK = 1024;

    /**
     * Counts like {@code torch.histc}, bit for bit; values outside the range are not counted. A
     * range of one value is widened by 1 to both sides.
     *
     * @param clean whether no value lies outside the range
     */
    static Histogram count(
            MemorySegment data, long count, float min, float max, int bins, boolean clean) {
        float low = min == max ? min - 1 : min;
        float high = min == max ? max + 1 : max;
        List<int[]> parts =
                Parallel.split(
                        count,
                        Extremes.GRAIN,
                        (from, to) -> count(data, from, to, low, high, bins, clean));
        float[] counts = new float[bins];
        for (int b = 0; b < bins; b++) {
            long sum = 0;
            for (int[] tables : parts) {
                for (int t = b; t < tables.length; t += bins) {
                    sum += tables[t];
                }
            }
            counts[b] = sum;
        }
        return new Histogram(counts, min, max);
    }

    private static int[] count(
            MemorySegment data,
            long from,
            long to,
            float low,
            float high,
            int bins,
            boolean clean) {
        int[] tables = new int[TABLES * bins];
        float[] block = new float[BLOCK];
        int[] index = new int[BLOCK];
        for (long at = from; at < to; at += BLOCK) {
            int n = (int) Math.min(BLOCK, to - at);
            MemorySegment.copy(data, ValueLayout.JAVA_FLOAT, at * Float.BYTES, block, 0, n);
            if (!clean) {
                n = keepInside(block, n, low, high);
            }
            locate(block, index, n, low, high, bins);
            int i = 0;
            for (; i + TABLES <= n; i += TABLES) {
                tables[index[i]]++;
                tables[bins + index[i + 1]]++;
            }
            for (; i < n; i++) {
                tables[index[i]]++;
            }
        }
        return tables;
    }

    private static void locate(
            float[] values, int[] index, int n, float low, float high, int bins) {
        float width = high - low;
        for (int i = 0; i < n; i++) {
            index[i] = Math.min((int) ((values[i] - low) * bins / width), bins - 1);
        }
    }

    /** Moves the values within the range to the front, and returns their number. */
    private static int keepInside(float[] values, int n, float low, float high) {
        int kept = 0;
        for (int i = 0; i < n; i++) {
            float value = values[i];
            values[kept] = value;
            kept += low <= value && value <= high ? 1 : 0;
        }
        return kept;
    }

    /** The counts of both, over the range of both. */
    Histogram plus(Histogram other) {
        float low = Math.min(min, other.min);
        float high = Math.max(max, other.max);
        float[] sum = over(low, high);
        float[] more = other.over(low, high);
        for (int b = 0; b < sum.length; b++) {
            sum[b] += more[b];
        }
        return new Histogram(sum, low, high);
    }

    /**
     * The counts over a wider range. Each bin is cut into {@value #UPSAMPLE}, and each piece goes
     * to the bin that its middle lies in, as in PyTorch 2.13.
     */
    private float[] over(float low, float high) {
        if (low == min && high == max) {
            return counts.clone();
        }
        try (var scope = new PointerScope()) {
            int bins = counts.length;
            if (min == max) {
                float[] one = new float[bins];
                int bin = (int) ((min - low) * bins / (high - low));
                one[Math.min(bin, bins - 1)] = (float) total();
                return one;
            }
            long pieces = (long) bins * UPSAMPLE;
            Tensor weights =
                    torch.repeat_interleave(
                            Tensors.of(counts).div(new Scalar((float) UPSAMPLE)), UPSAMPLE);
            Tensor middles =
                    torch.linspace(new Scalar((double) min), new Scalar((double) max), pieces + 1)
                            .narrow(0, 0, pieces)
                            .add(new Scalar(0.5f * ((max - min) / pieces)));
            Tensor edges =
                    torch.linspace(new Scalar((double) low), new Scalar((double) high), bins + 1);
            Tensor target =
                    torch.bucketize(middles, edges, false, true)
                            .sub(new Scalar(1))
                            .clamp(
                                    new org.bytedeco.pytorch.ScalarOptional(new Scalar(0)),
                                    new org.bytedeco.pytorch.ScalarOptional(new Scalar(bins - 1)));
            return Tensors.floats(torch.bincount(target, new TensorOptional(weights), bins));
        }
    }

    /** The sum of all counts. */
    double total() {
        double total = 0;
        for (float count : counts) {
            total += count;
        }
        return total;
    }

    /** The value that the given share of all values lies below, interpolated within its bin. */
    float quantile(double share) {
        double wanted = share * total();
        double below = 0;
        for (int b = 0; b < counts.length; b++) {
            if (counts[b] > 0 && below + counts[b] >= wanted) {
                double at = b + Math.max(0, wanted - below) / counts[b];
                return (float) (min + at * ((double) max - min) / counts.length);
            }
            below += counts[b];
        }
        return max;
    }

    /** Counts of the magnitudes, in as many bins from 0 to the largest. */
    double[] magnitudes() {
        int bins = counts.length;
        double[] folded = new double[bins];
        double largest = Math.max(Math.abs((double) min), Math.abs((double) max));
        double width = ((double) max - min) / bins;
        for (int b = 0; b < bins; b++) {
            double magnitude = Math.abs(min + (b + 0.5) * width);
            int bin = largest == 0 ? 0 : (int) (magnitude / largest * bins);
            folded[Math.min(bin, bins - 1)] += counts[b];
        }
        return folded;
    }
}
