package io.espalier.prune;

import io.espalier.prune.Selection.Digit;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** A run of entries of one tensor, small enough that cores share the work evenly. */
final class SelectionChunk {
    /** The key of an entry that is pruned already: as a number it is below every magnitude. */
    static final int PRUNED = -1;

    private static final int LENGTH = 1 << 19;

    /** Keys worked on at a time; they and the counts stay in the nearest cache. */
    private static final int BLOCK = 1 << 11;

    private static final int MAGNITUDE = 0x7fff_ffff;
    private static final int INFINITY = 0x7f80_0000;
    private static final int ONE = 0x3f80_0000;

    private final MemorySegment scores;
    private final @Nullable MemorySegment kept;
    private final MemorySegment mask;
    private final int length;

    private boolean hasNaN;
    private int @Nullable [] asideKeys;
    private int[] asidePlaces = {};

    private SelectionChunk(
            MemorySegment scores, @Nullable MemorySegment kept, MemorySegment mask, int length) {
        this.scores = scores;
        this.kept = kept;
        this.mask = mask;
        this.length = length;
    }

    /** The chunks of a tensor: contiguous floats, as are the masks. */
    static List<SelectionChunk> of(Tensor scores, @Nullable Tensor kept, Tensor mask) {
        List<SelectionChunk> chunks = new ArrayList<>();
        for (long from = 0; from < scores.numel(); from += LENGTH) {
            int length = (int) Math.min(LENGTH, scores.numel() - from);
            chunks.add(
                    new SelectionChunk(
                            slice(scores, from, length),
                            kept == null ? null : slice(kept, from, length),
                            slice(mask, from, length),
                            length));
        }
        return chunks;
    }

    private static MemorySegment slice(Tensor tensor, long from, int length) {
        return Tensors.segment(tensor).asSlice(from * Float.BYTES, (long) length * Float.BYTES);
    }

    /** Whether {@link #count} met a NaN among the entries not pruned. */
    boolean hasNaN() {
        return hasNaN;
    }

    /** Reads the magnitudes of up to a block of entries; returns how many. */
    private int load(int from, int[] keys) {
        int n = Math.min(BLOCK, length - from);
        long offset = (long) from * Float.BYTES;
        MemorySegment.copy(scores, ValueLayout.JAVA_INT, offset, keys, 0, n);
        for (int i = 0; i < n; i++) {
            keys[i] &= MAGNITUDE;
        }
        if (kept != null) {
            int[] masks = new int[BLOCK];
            MemorySegment.copy(kept, ValueLayout.JAVA_INT, offset, masks, 0, n);
            for (int i = 0; i < n; i++) {
                keys[i] |= ((masks[i] & MAGNITUDE) - 1) >> 31;
            }
        }
        return n;
    }

    /** How many entries that start with {@code prefix} have each value of the next digit. */
    int[] count(Digit digit, int prefix) {
        if (digit == Digit.FIRST) {
            return countFirst();
        }
        int[] counts = new int[digit.size()];
        if (asideKeys != null) {
            count(digit, prefix, asideKeys, asideKeys.length, counts);
            return counts;
        }
        int[] keys = new int[BLOCK];
        for (int from = 0; from < length; from += BLOCK) {
            count(digit, prefix, keys, load(from, keys), counts);
        }
        return counts;
    }

    private static void count(Digit digit, int prefix, int[] keys, int n, int[] counts) {
        for (int i = 0; i < n; i++) {
            if (digit.before(keys[i]) == prefix) {
                counts[(keys[i] >>> digit.shift) & (counts.length - 1)]++;
            }
        }
    }

    /**
     * The first digit of every entry, counted; one of 13 bits, so that no test of sign is needed.
     */
    private int[] countFirst() {
        int[] counts = new int[1 << 13];
        int[] keys = new int[BLOCK];
        int largest = 0;
        for (int from = 0; from < length; from += BLOCK) {
            int n = load(from, keys);
            for (int i = 0; i < n; i++) {
                largest = Math.max(largest, keys[i]);
            }
            for (int i = 0; i < n; i++) {
                counts[keys[i] >>> 19]++;
            }
        }
        hasNaN = largest > INFINITY;
        return counts;
    }

    /** Keeps the entries above a key, which is at most that of infinity, and prunes the others. */
    void writeAbove(int key) {
        int[] keys = new int[BLOCK];
        for (int from = 0; from < length; from += BLOCK) {
            writeAbove(key, keys, load(from, keys), from);
        }
    }

    private void writeAbove(int key, int[] keys, int n, int from) {
        for (int i = 0; i < n; i++) {
            keys[i] = ((key - keys[i]) >> 31) & ONE;
        }
        MemorySegment.copy(keys, 0, mask, ValueLayout.JAVA_INT, (long) from * Float.BYTES, n);
    }

    /**
     * Keeps the entries above a prefix, prunes the others, and puts those that start with it aside
     * until {@link #settle}.
     */
    void putAside(Digit digit, int prefix) {
        int shift = digit.shift;
        int above = Math.min(((prefix + 1) << shift) - 1, INFINITY);
        int[] keys = new int[BLOCK];
        int[] found = new int[length / Selection.RARE + BLOCK];
        int[] places = new int[found.length];
        int count = 0;
        for (int from = 0; from < length; from += BLOCK) {
            int n = load(from, keys);
            if (found.length < count + n) {
                found = Arrays.copyOf(found, 2 * found.length + n);
                places = Arrays.copyOf(places, found.length);
            }
            for (int i = 0; i < n; i++) {
                if (keys[i] >>> shift == prefix) {
                    found[count] = keys[i];
                    places[count++] = from + i;
                }
            }
            writeAbove(above, keys, n, from);
        }
        asideKeys = Arrays.copyOf(found, count);
        asidePlaces = Arrays.copyOf(places, count);
    }

    /**
     * Decides what was put aside: below a key, and the first {@code count} of it, are pruned.
     *
     * @return how many of the key are still to be pruned in the chunks that follow
     */
    long settle(int key, long count) {
        int[] keys = Objects.requireNonNull(asideKeys);
        long left = count;
        for (int i = 0; i < keys.length; i++) {
            if (keys[i] == key && left > 0) {
                left--;
            } else if (keys[i] >= key) {
                mask.setAtIndex(ValueLayout.JAVA_INT, asidePlaces[i], ONE);
            }
        }
        return left;
    }

    /**
     * Prunes the first {@code count} entries of a key.
     *
     * @return how many are still to be pruned in the chunks that follow
     */
    long pruneFirst(int key, long count) {
        int[] keys = new int[BLOCK];
        long left = count;
        for (int from = 0; from < length && left > 0; from += BLOCK) {
            int n = load(from, keys);
            for (int i = 0; i < n && left > 0; i++) {
                if (keys[i] == key) {
                    mask.setAtIndex(ValueLayout.JAVA_INT, from + i, 0);
                    left--;
                }
            }
        }
        return left;
    }
}
