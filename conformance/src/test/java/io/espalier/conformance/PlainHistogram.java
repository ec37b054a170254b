package io.espalier.conformance;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.Set;

/** PyTorch's {@code HistogramObserver}, of 2.13, as plain loops. */
final class PlainHistogram {
    private static final int UPSAMPLE = 16;

    float[] counts;
    float min = Float.POSITIVE_INFINITY;
    float max = Float.NEGATIVE_INFINITY;

    PlainHistogram(int bins) {
        counts = new float[bins];
    }

    void see(float[] values) {
        if (values.length == 0) {
            return;
        }
        float low = min;
        float high = max;
        for (float value : values) {
            low = Math.min(low, value);
            high = Math.max(high, value);
        }
        float[] batch = count(values, low, high);
        float[] before = min > max ? new float[counts.length] : over(low, high);
        for (int b = 0; b < batch.length; b++) {
            batch[b] += before[b];
        }
        counts = batch;
        min = low;
        max = high;
    }

    /** {@code torch.histc}. */
    private float[] count(float[] values, float low, float high) {
        int bins = counts.length;
        float from = low == high ? low - 1 : low;
        float to = low == high ? high + 1 : high;
        float[] counted = new float[bins];
        for (float value : values) {
            int bin = (int) ((value - from) * bins / (to - from));
            counted[Math.min(bin, bins - 1)]++;
        }
        return counted;
    }

    /** {@code _combine_histograms}: what was counted before, over a wider range. */
    private float[] over(float low, float high) {
        int bins = counts.length;
        if (low == min && high == max) {
            return counts;
        }
        float[] spread = new float[bins];
        if (min == max) {
            float all = 0;
            for (float count : counts) {
                all += count;
            }
            float[] one = count(new float[] {min}, low, high);
            for (int b = 0; b < bins; b++) {
                spread[b] = one[b] * all;
            }
            return spread;
        }
        double piece = ((double) max - min) / (bins * UPSAMPLE);
        double width = ((double) high - low) / bins;
        for (int p = 0; p < bins * UPSAMPLE; p++) {
            double middle = min + (p + 0.5) * piece;
            int bin = (int) Math.floor((middle - low) / width);
            spread[Math.clamp(bin, 0, bins - 1)] += counts[p / UPSAMPLE] / UPSAMPLE;
        }
        return spread;
    }

    /** A range that is quantized to. */
    record Ends(float min, float max) {}

    /**
     * {@code _non_linear_param_search}, on any counts. Where two errors are equal within the
     * rounding of their sums, whose order is libtorch's own, both ways are followed.
     *
     * @return the ranges it may come to, nearly always one
     */
    static Set<Ends> search(float[] counts, float min, float max) {
        Set<Ends> found = new LinkedHashSet<>();
        var search = new Search(counts, min, max);
        search.from(0, 1, 0, counts.length - 1, Double.POSITIVE_INFINITY, found);
        return found;
    }

    private static final class Search {
        private final float[] counts;
        private final float[] below;
        private final float total;
        private final float min;
        private final float max;

        Search(float[] counts, float min, float max) {
            this.counts = counts;
            this.min = min;
            this.max = max;
            this.below = new float[counts.length];
            double sum = 0;
            for (int b = 0; b < counts.length; b++) {
                sum += counts[b];
                below[b] = (float) sum;
            }
            this.total = (float) sum;
        }

        private void from(
                double alpha, double beta, int first, int last, double least, Set<Ends> found) {
            while (alpha < beta) {
                double nextAlpha = alpha + 1e-5;
                double nextBeta = beta - 1e-5;
                int left = first;
                int right = last;
                while (left < last && below[left] < (float) (nextAlpha * total)) {
                    left++;
                }
                while (right > first && below[right] > (float) (nextBeta * total)) {
                    right--;
                }
                int nextFirst = first;
                int nextLast = last;
                if (left - first > last - right) {
                    nextFirst = left;
                    alpha = nextAlpha;
                } else {
                    nextLast = right;
                    beta = nextBeta;
                }
                if (nextFirst == first && nextLast == last) {
                    continue;
                }
                double error = error(nextFirst, nextLast);
                boolean undecided = Math.abs(error - least) <= 2e-6 * error;
                if (undecided && error > 0) {
                    from(alpha, beta, nextFirst, nextLast, error, found);
                    break;
                }
                if (error > least) {
                    break;
                }
                least = error;
                first = nextFirst;
                last = nextLast;
            }
            float width = (max - min) / counts.length;
            found.add(new Ends(min + width * first, min + width * (last + 1)));
        }

        /** {@code _compute_quantization_error}. */
        private double error(int first, int last) {
            double width = ((double) max - min) / counts.length;
            double target = width * (last - first + 1) / 256;
            if (target == 0) {
                return 0;
            }
            double sum = 0;
            for (int b = 0; b < counts.length; b++) {
                float begin = (b - first) * (float) width;
                float end = begin + (float) width;
                float ofBegin = targetBin(begin, (float) target);
                float ofEnd = targetBin(end, (float) target);
                float half = (float) (target / 2);
                float density = counts[b] / (float) width;
                float error =
                        norm(begin - (ofBegin + 0.5f) * (float) target, half, density)
                                + (ofEnd - ofBegin - 1) * norm(-half, half, density);
                sum += error + norm(-half, end - (ofEnd * (float) target + half), density);
            }
            return sum;
        }

        private static float targetBin(float x, float target) {
            return (float) Math.clamp(Math.floor((double) x / target), 0, 255);
        }

        private static float norm(float begin, float end, float density) {
            return density * ((end * end * end - begin * begin * begin) / 3);
        }
    }

    /** A copy of the counts. */
    float[] counts() {
        return Arrays.copyOf(counts, counts.length);
    }
}
