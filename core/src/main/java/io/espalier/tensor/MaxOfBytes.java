package io.espalier.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The maximum of unsigned bytes under a window moved over a picture [H, W, C], eight at a time in a
 * long and, since the loops over longs are plain, as many longs as the processor takes at once. A
 * band of rows is compared with itself moved on in memory, first by rows, then by columns; in what
 * results, the maximum of a window is where its first element was.
 */
final class MaxOfBytes {
    /** How large a band may be: two of them stay in a processor's nearest memory. */
    private static final long BAND = 1 << 14;

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

    private final long[] kernel;
    private final long[] stride;
    private final long[] padding;
    private final long height;
    private final long width;
    private final long channels;
    private final long high;
    private final long wide;
    private final long row;
    private final long rowsAtOnce;
    private final long[] band;
    private final long[] moved;
    private final long[] picked;

    /**
     * Makes room for it.
     *
     * @param picture its height, width and channels
     * @param places how many there are, down and across
     */
    MaxOfBytes(long[] kernel, long[] stride, long[] padding, long[] picture, long[] places) {
        this.kernel = kernel;
        this.stride = stride;
        this.padding = padding;
        height = picture[0];
        width = picture[1];
        channels = picture[2];
        high = places[0];
        wide = places[1];
        row = (width + 2 * padding[1]) * channels;
        rowsAtOnce = Math.clamp((BAND / row - kernel[0]) / stride[0] + 1, 1, high);
        long largest = ((rowsAtOnce - 1) * stride[0] + kernel[0]) * row;
        band = room(largest);
        moved = room(largest);
        picked = room(rowsAtOnce * wide * channels);
    }

    /** For so many bytes, and a long that begins in the last. */
    private static long[] room(long bytes) {
        return new long[Math.toIntExact(bytes / Long.BYTES + 2)];
    }

    void compute(MemorySegment from, MemorySegment to) {
        for (long first = 0; first < high; first += rowsAtOnce) {
            long rows = Math.min(rowsAtOnce, high - first);
            long bytes = load(from, first * stride[0] - padding[0], rows);
            compare(bytes, kernel[0], row);
            compare(bytes, kernel[1], channels);
            pick(rows);
            long made = wide * channels;
            MemorySegment.copy(MemorySegment.ofArray(picked), 0, to, first * made, rows * made);
        }
    }

    /** Takes the rows of some windows, with zeros around the picture; returns their bytes. */
    private long load(MemorySegment from, long top, long windows) {
        long rows = (windows - 1) * stride[0] + kernel[0];
        MemorySegment to = MemorySegment.ofArray(band);
        long line = width * channels;
        if (row == line && top >= 0 && top + rows <= height) {
            MemorySegment.copy(from, top * line, to, 0, rows * line);
            return rows * row;
        }
        to.fill((byte) 0);
        long before = padding[1] * channels;
        for (long r = Math.max(0, -top); r < Math.min(rows, height - top); r++) {
            MemorySegment.copy(from, (top + r) * line, to, r * row + before, line);
        }
        return rows * row;
    }

    /** Puts in the place of each byte the maximum of it and those that follow in so many steps. */
    private void compare(long bytes, long count, long step) {
        long held = 1;
        while (held < count) {
            long further = Math.min(held, count - held);
            long by = further * step;
            MemorySegment.copy(
                    MemorySegment.ofArray(band), by, MemorySegment.ofArray(moved), 0, bytes - by);
            larger(band, moved, Math.toIntExact((bytes - by) / Long.BYTES + 1));
            held += further;
        }
    }

    private static void larger(long[] a, long[] b, int count) {
        for (int i = 0; i < count; i++) {
            a[i] = larger(a[i], b[i]);
        }
    }

    /**
     * The larger one of each two of eight bytes: the highest bits of all bytes tell which, from the
     * bytes' own and from a difference of the others that borrows from none.
     */
    private static long larger(long a, long b) {
        long high = 0x8080808080808080L;
        long difference = (a | high) - (b & ~high);
        long isLarger = ((a & ~b) | (~(a ^ b) & difference)) & high;
        long mask = (isLarger - (isLarger >>> 7)) | isLarger;
        return b ^ ((a ^ b) & mask);
    }

    /** Gathers what is at the windows' places; a last long's end is written over by the next. */
    private void pick(long rows) {
        MemorySegment from = MemorySegment.ofArray(band);
        MemorySegment to = MemorySegment.ofArray(picked);
        long next = 0;
        for (long r = 0; r < rows; r++) {
            for (long place = 0; place < wide; place++) {
                long at = r * stride[0] * row + place * stride[1] * channels;
                for (long c = 0; c < channels; c += Long.BYTES) {
                    to.set(LONG, next + c, from.get(LONG, at + c));
                }
                next += channels;
            }
        }
    }
}
