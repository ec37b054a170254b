package io.espalier.quant.observer;

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

    /** Elements worth a thread. */
    static final long GRAIN = 1 << 16;

    /** Rows shorter than this are looked at across, many channels at a time. */
    private static final int SHORT_ROW = 64;

    private static final int LOWEST = key(Float.floatToRawIntBits(-MASK));
    private static final int HIGHEST = key(Float.floatToRawIntBits(MASK));

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
                        : along(
                                outer,
                                channels,
                                inner,
                                (found, c, from, to) -> found.add(c, data, from, to));
        if (keys.lowest() >= LOWEST && keys.highest() <= HIGHEST) {
            return new Extremes(floats(keys.min), floats(keys.max), true);
        }
        Keys ordinary =
                along(
                        outer,
                        channels,
                        inner,
                        (found, c, from, to) -> addOrdinary(found, c, data, from, to));
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

        /** Takes in the values {@code from … to} of a channel. */
        void add(int channel, MemorySegment data, long from, long to) {
            int least = min[channel];
            int most = max[channel];
            for (long i = from; i < to; i++) {
                int key = key(data.get(ValueLayout.JAVA_INT, i * Float.BYTES));
                least = Math.min(least, key);
                most = Math.max(most, key);
            }
            min[channel] = least;
            max[channel] = most;
        }

        /** Takes in one value of each channel, from {@code from} on. */
        void addRow(MemorySegment data, long from) {
            for (int i = 0; i < min.length; i++) {
                int key = key(data.get(ValueLayout.JAVA_INT, (from + i) * Float.BYTES));
                min[i] = Math.min(min[i], key);
                max[i] = Math.max(max[i], key);
            }
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

    /** What is done with the values {@code from … to}, which are all of one channel. */
    private interface Stretch {
        void take(Keys keys, int channel, long from, long to);
    }

    /** Rows of {@code inner} values, one after the other. */
    private static Keys along(long outer, int channels, long inner, Stretch stretch) {
        Keys all = new Keys(channels);
        Parallel.split(
                        outer * channels * inner,
                        GRAIN,
                        (from, to) -> {
                            Keys keys = new Keys(channels);
                            for (long at = from; at < to; ) {
                                long row = at / inner;
                                long end = Math.min(to, (row + 1) * inner);
                                stretch.take(keys, (int) (row % channels), at, end);
                                at = end;
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
                            for (long row = from; row < to; row++) {
                                keys.addRow(data, row * columns);
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

    /** Leaves out masks and values that are not finite, which it counts. */
    private static void addOrdinary(
            Keys keys, int channel, MemorySegment data, long from, long to) {
        for (long i = from; i < to; i++) {
            int bits = data.get(ValueLayout.JAVA_INT, i * Float.BYTES);
            int magnitude = bits & 0x7fffffff;
            if (magnitude <= HIGHEST) {
                int key = key(bits);
                keys.min[channel] = Math.min(keys.min[channel], key);
                keys.max[channel] = Math.max(keys.max[channel], key);
            } else if (magnitude >= INFINITE) {
                keys.refused++;
            }
        }
    }

    /** The bits of a float as an integer of the same order. */
    private static int key(int bits) {
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
