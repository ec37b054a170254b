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

    /** The bits of +∞; those of a NaN are above. */
    private static final int INFINITE = 0x7f800000;

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
                        : along(data, outer, channels, inner, false);
        if (keys.lowest() >= LOWEST && keys.highest() <= HIGHEST) {
            return new Extremes(floats(keys.min), floats(keys.max), true);
        }
        Keys ordinary = along(data, outer, channels, inner, true);
        if (ordinary.refused > 0) {
            nonFinite.found(ordinary.refused);
        }
        Extremes found = empty(channels);
        for (int c = 0; c < channels; c++) {
            if (ordinary.min[c] <= ordinary.max[c]) {
                found.min[c] = value(ordinary.min[c]);
                found.max[c] = value(ordinary.max[c]);
            }
        }
        return new Extremes(found.min, found.max, false);
    }

    private static Extremes empty(int channels) {
        float[] min = new float[channels];
        float[] max = new float[channels];
        Arrays.fill(min, Float.POSITIVE_INFINITY);
        Arrays.fill(max, Float.NEGATIVE_INFINITY);
        return new Extremes(min, max, true);
    }

    /** The extremes so far, as ordered integers, and how many values were not finite. */
    private static final class Keys {
        final int[] min;
        final int[] max;
        long refused;

        Keys(int channels) {
            min = new int[channels];
            max = new int[channels];
            Arrays.fill(min, Integer.MAX_VALUE);
            Arrays.fill(max, Integer.MIN_VALUE);
        }

        void add(Keys other) {
            for (int c = 0; c < min.length; c++) {
                min[c] = Math.min(min[c], other.min[c]);
                max[c] = Math.max(max[c], other.max[c]);
            }
            refused += other.refused;
        }

        int lowest() {
            return Arrays.stream(min).min().orElse(0);
        }

        int highest() {
            return Arrays.stream(max).max().orElse(0);
        }
    }

    /**
     * Rows of {@code inner} values, one after the other.
     *
     * @param careful whether masks and values that are not finite are left out
     */
    private static Keys along(
            MemorySegment data, long outer, int channels, long inner, boolean careful) {
        Keys all = new Keys(channels);
        Parallel.split(
                        outer * channels * inner,
                        GRAIN,
                        (from, to) -> {
                            Keys keys = new Keys(channels);
                            int[] block = new int[BLOCK];
                            long at = from;
                            while (at < to) {
                                long row = at / inner;
                                int c = (int) (row % channels);
                                int n = (int) Math.min(BLOCK, Math.min(to, (row + 1) * inner) - at);
                                MemorySegment.copy(
                                        data, ValueLayout.JAVA_INT, at * Float.BYTES, block, 0, n);
                                at += n;
                                if (careful) {
                                    keys.refused += nonFinite(block, n);
                                    n = keepOrdinary(block, n);
                                }
                                keys.min[c] = Math.min(keys.min[c], minKey(block, n));
                                keys.max[c] = Math.max(keys.max[c], maxKey(block, n));
                            }
                            return keys;
                        })
                .forEach(all::add);
        return all;
    }

    /** Short rows: keeps the extremes of every column of [outer, channels · inner]. */
    private static Keys across(MemorySegment data, long outer, int channels, int inner) {
        int columns = channels * inner;
        Keys perColumn = new Keys(columns);
        Parallel.split(
                        outer,
                        Math.max(1, GRAIN / columns),
                        (from, to) -> {
                            Keys keys = new Keys(columns);
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
        Keys all = new Keys(channels);
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

    private static int nonFinite(int[] bits, int n) {
        int count = 0;
        for (int i = 0; i < n; i++) {
            count += (bits[i] & 0x7fffffff) >= INFINITE ? 1 : 0;
        }
        return count;
    }

    /** Moves the values that are data to the front, and returns their number. */
    private static int keepOrdinary(int[] bits, int n) {
        int kept = 0;
        for (int i = 0; i < n; i++) {
            int value = bits[i];
            bits[kept] = value;
            kept += (value & 0x7fffffff) <= HIGHEST ? 1 : 0;
        }
        return kept;
    }

    private static int key(float value) {
        int bits = Float.floatToRawIntBits(value);
        return bits ^ ((bits >> 31) & 0x7fffffff);
    }

    private static float value(int key) {
        return Float.intBitsToFloat(key ^ ((key >> 31) & 0x7fffffff));
    }

    private static float[] floats(int[] keys) {
        float[] values = new float[keys.length];
        for (int i = 0; i < keys.length; i++) {
            values[i] = value(keys[i]);
        }
        return values;
    }
}
