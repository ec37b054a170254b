package io.espalier.quant;

import io.espalier.tensor.Parallel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The smallest and largest value of each channel, found in one pass.
 *
 * <p>Floats are compared as integers: with the 31 low bits of negative numbers flipped, the order
 * of the bits is the order of the values, infinities stand at the ends and NaNs beyond them. The
 * loop is then a plain integer minimum and maximum, and one look at the result tells whether
 * anything in the data needs a second, careful pass.
 *
 * @param min the smallest value of each channel, +∞ where a channel has none
 * @param max the largest value of each channel, −∞ where a channel has none
 * @param clean whether every value lies within its channel's extremes; not so if values were left
 *     out
 */
@SuppressWarnings("ArrayRecordComponent") // never compared; made fresh and read once
record Extremes(float[] min, float[] max, boolean clean) {
    /**
     * Values of a larger magnitude are not data but masks: attention fills what must not be seen
     * with the most negative float.
     */
    static final float MASK = 1e30f;

    /** Elements read at a time; their copy stays in the first-level cache. */
    static final int BLOCK = 4096;

    /** Elements worth a thread. */
    static final long GRAIN = 1 << 16;

    /** Rows shorter than this are looked at across, many channels at a time. */
    private static final int SHORT_ROW = 64;

    private static final int LOWEST = key(-MASK);
    private static final int HIGHEST = key(MASK);

    /** What to do with NaN and infinite values. */
    interface NonFinite {
        /** Called when there are some; refuses them by throwing, or returns to leave them out. */
        void found(long count);
    }

    /** Over all {@code count} floats, as one channel. */
    static Extremes ofAll(MemorySegment data, long count, NonFinite nonFinite) {
        return of(data, 1, 1, count, nonFinite);
    }

    /** Over a row-major tensor [outer, channels, inner], for each channel. */
    static Extremes of(
            MemorySegment data, long outer, int channels, long inner, NonFinite nonFinite) {
        if (outer * channels * inner == 0) {
            return empty(channels);
        }
        Keys keys =
                inner < SHORT_ROW && channels > 1
                        ? across(data, outer, channels, Math.toIntExact(inner))
                        : along(data, outer, channels, inner);
        if (keys.lowest() >= LOWEST && keys.highest() <= HIGHEST) {
            return new Extremes(floats(keys.min), floats(keys.max), true);
        }
        return careful(data, outer, channels, inner, nonFinite);
    }

    private static Extremes empty(int channels) {
        float[] min = new float[channels];
        float[] max = new float[channels];
        Arrays.fill(min, Float.POSITIVE_INFINITY);
        Arrays.fill(max, Float.NEGATIVE_INFINITY);
        return new Extremes(min, max, true);
    }

    /** The extremes so far, as ordered integers. */
    private record Keys(int[] min, int[] max) {
        static Keys none(int channels) {
            var keys = new Keys(new int[channels], new int[channels]);
            Arrays.fill(keys.min, Integer.MAX_VALUE);
            Arrays.fill(keys.max, Integer.MIN_VALUE);
            return keys;
        }

        void add(Keys other) {
            for (int c = 0; c < min.length; c++) {
                min[c] = Math.min(min[c], other.min[c]);
                max[c] = Math.max(max[c], other.max[c]);
            }
        }

        int lowest() {
            return Arrays.stream(min).min().orElse(0);
        }

        int highest() {
            return Arrays.stream(max).max().orElse(0);
        }
    }

    /** Rows of {@code inner} values, one after the other. */
    private static Keys along(MemorySegment data, long outer, int channels, long inner) {
        Keys all = Keys.none(channels);
        Parallel.split(
                        outer * channels * inner,
                        GRAIN,
                        (from, to) -> {
                            Keys keys = Keys.none(channels);
                            int[] block = new int[BLOCK];
                            long at = from;
                            while (at < to) {
                                long row = at / inner;
                                int c = (int) (row % channels);
                                int n = (int) Math.min(BLOCK, Math.min(to, (row + 1) * inner) - at);
                                MemorySegment.copy(
                                        data, ValueLayout.JAVA_INT, at * Float.BYTES, block, 0, n);
                                keys.min[c] = Math.min(keys.min[c], minKey(block, n));
                                keys.max[c] = Math.max(keys.max[c], maxKey(block, n));
                                at += n;
                            }
                            return keys;
                        })
                .forEach(all::add);
        return all;
    }

    /** Short rows: keeps the extremes of every column of [outer, channels · inner]. */
    private static Keys across(MemorySegment data, long outer, int channels, int inner) {
        int columns = channels * inner;
        Keys perColumn = Keys.none(columns);
        Parallel.split(
                        outer,
                        Math.max(1, GRAIN / columns),
                        (from, to) -> {
                            Keys keys = Keys.none(columns);
                            int[] row = new int[columns];
                            for (long r = from; r < to; r++) {
                                MemorySegment.copy(
                                        data,
                                        ValueLayout.JAVA_INT,
                                        r * columns * Float.BYTES,
                                        row,
                                        0,
                                        columns);
                                widen(keys.min, keys.max, row);
                            }
                            return keys;
                        })
                .forEach(perColumn::add);
        Keys all = Keys.none(channels);
        for (int i = 0; i < columns; i++) {
            all.min[i / inner] = Math.min(all.min[i / inner], perColumn.min[i]);
            all.max[i / inner] = Math.max(all.max[i / inner], perColumn.max[i]);
        }
        return all;
    }

    private static int minKey(int[] bits, int n) {
        int least = Integer.MAX_VALUE;
        for (int i = 0; i < n; i++) {
            least = Math.min(least, bits[i] ^ ((bits[i] >> 31) & 0x7fffffff));
        }
        return least;
    }

    private static int maxKey(int[] bits, int n) {
        int most = Integer.MIN_VALUE;
        for (int i = 0; i < n; i++) {
            most = Math.max(most, bits[i] ^ ((bits[i] >> 31) & 0x7fffffff));
        }
        return most;
    }

    private static void widen(int[] min, int[] max, int[] bits) {
        for (int i = 0; i < bits.length; i++) {
            int key = bits[i] ^ ((bits[i] >> 31) & 0x7fffffff);
            min[i] = Math.min(min[i], key);
            max[i] = Math.max(max[i], key);
        }
    }

    /** The pass for data with NaN, infinities or mask values in it. */
    private static Extremes careful(
            MemorySegment data, long outer, int channels, long inner, NonFinite nonFinite) {
        Extremes found = empty(channels);
        long refused = 0;
        for (long at = 0; at < outer * channels * inner; at++) {
            float value = data.getAtIndex(ValueLayout.JAVA_FLOAT, at);
            if (!Float.isFinite(value)) {
                refused++;
            } else if (Math.abs(value) <= MASK) {
                int c = (int) (at / inner % channels);
                found.min[c] = Math.min(found.min[c], value);
                found.max[c] = Math.max(found.max[c], value);
            }
        }
        if (refused > 0) {
            nonFinite.found(refused);
        }
        return new Extremes(found.min, found.max, false);
    }

    private static int key(float value) {
        int bits = Float.floatToRawIntBits(value);
        return bits ^ ((bits >> 31) & 0x7fffffff);
    }

    private static float[] floats(int[] keys) {
        float[] values = new float[keys.length];
        for (int i = 0; i < keys.length; i++) {
            values[i] = Float.intBitsToFloat(keys[i] ^ ((keys[i] >> 31) & 0x7fffffff));
        }
        return values;
    }
}
