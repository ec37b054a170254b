package io.espalier.compress;

import java.util.Arrays;

/**
 * Few numbers that stand for many: k-means in one dimension. It begins with numbers evenly spaced
 * between the least and the greatest, which serves large weights better than a random choice (Han
 * et al., <a href="https://arxiv.org/abs/1510.00149">Deep Compression</a>, 2016, section 3.2), and
 * puts one that stands for nothing where the error is largest.
 *
 * @param centers the numbers, in order
 */
@SuppressWarnings("ArrayRecordComponent") // made and read in one place
record Clusters(float[] centers) {
    /** Most sets of weights settle within a hundred. */
    private static final int ROUNDS = 300;

    /**
     * Finds them.
     *
     * @param values at least one, all finite
     * @param count how many centers there are at most
     */
    static Clusters of(float[] values, int count) {
        float[] sorted = values.clone();
        Arrays.parallelSort(sorted);
        float[] different = different(sorted, count);
        return new Clusters(
                different.length <= count ? different : new Search(sorted, count).centers());
    }

    /** The different values, or one more than {@code most} of them. */
    private static float[] different(float[] sorted, int most) {
        float[] found = new float[Math.min(most + 1, sorted.length)];
        int size = 0;
        for (int i = 0; i < sorted.length && size < found.length; i++) {
            if (i == 0 || sorted[i] != sorted[i - 1]) {
                found[size++] = sorted[i];
            }
        }
        return Arrays.copyOf(found, size);
    }

    /** Which center is nearest. */
    int nearest(float value) {
        int at = Arrays.binarySearch(centers, value);
        if (at >= 0) {
            return at;
        }
        int after = -at - 1;
        if (after == 0 || after == centers.length) {
            return Math.min(after, centers.length - 1);
        }
        boolean below = (double) value - centers[after - 1] <= (double) centers[after] - value;
        return below ? after - 1 : after;
    }

    /** Lloyd's algorithm on sorted values, whose sums over any range are known. */
    private static final class Search {
        private final float[] sorted;
        private final double[] sums;
        private final double[] squares;
        private final double[] centers;

        Search(float[] sorted, int count) {
            this.sorted = sorted;
            sums = new double[sorted.length + 1];
            squares = new double[sorted.length + 1];
            for (int i = 0; i < sorted.length; i++) {
                sums[i + 1] = sums[i] + sorted[i];
                squares[i + 1] = squares[i] + (double) sorted[i] * sorted[i];
            }
            centers = new double[count];
            double least = sorted[0];
            double range = sorted[sorted.length - 1] - least;
            for (int i = 0; i < count; i++) {
                centers[i] = least + range * (count == 1 ? 0.5 : (double) i / (count - 1));
            }
        }

        float[] centers() {
            boolean moved = true;
            for (int round = 0; moved && round < ROUNDS; round++) {
                moved = step();
            }
            float[] all = new float[centers.length];
            for (int i = 0; i < all.length; i++) {
                all[i] = (float) centers[i];
            }
            return different(all, all.length);
        }

        private boolean step() {
            int[] ends = ends();
            boolean moved = false;
            int empty = -1;
            for (int i = 0; i < centers.length; i++) {
                int begin = i == 0 ? 0 : ends[i - 1];
                if (begin == ends[i]) {
                    empty = i;
                } else {
                    double mean = (sums[ends[i]] - sums[begin]) / (ends[i] - begin);
                    moved |= mean != centers[i];
                    centers[i] = mean;
                }
            }
            if (empty >= 0) {
                split(empty, ends);
                moved = true;
            }
            Arrays.sort(centers);
            return moved;
        }

        /** Where the values of each center end. */
        private int[] ends() {
            int[] ends = new int[centers.length];
            int from = 0;
            for (int i = 0; i < centers.length; i++) {
                boolean last = i == centers.length - 1;
                from = last ? sorted.length : end((centers[i] + centers[i + 1]) / 2, from);
                ends[i] = from;
            }
            return ends;
        }

        /** The first place from {@code low} on whose value is above a border. */
        private int end(double border, int low) {
            int high = sorted.length;
            while (low < high) {
                int middle = (low + high) >>> 1;
                if (sorted[middle] <= border) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            return low;
        }

        /** Puts a center beside the one whose values are farthest from it. */
        private void split(int empty, int[] ends) {
            int worst = 0;
            double most = -1;
            for (int i = 0; i < centers.length; i++) {
                int begin = i == 0 ? 0 : ends[i - 1];
                double sum = sums[ends[i]] - sums[begin];
                double error =
                        begin == ends[i]
                                ? -1
                                : squares[ends[i]] - squares[begin] - sum * sum / (ends[i] - begin);
                if (error > most) {
                    most = error;
                    worst = i;
                }
            }
            double width =
                    Math.sqrt(
                            Math.max(most, 0) / (ends[worst] - (worst == 0 ? 0 : ends[worst - 1])));
            centers[empty] = centers[worst] + width;
            centers[worst] -= width;
        }
    }
}
