package io.espalier.prune;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;

/**
 * Prunes the entries of smallest magnitude in one or many tensors, in time linear in their number,
 * without sorting or copying them.
 *
 * <p>The magnitude of a float orders as its bits do once the sign is dropped. A radix selection
 * over those 31 bits, first 11 and then twice 10, counts how many entries share a prefix and
 * follows the prefix that holds the k-th: three readings give its exact value, a fourth writes the
 * masks. The tensors are read where they lie, in chunks that the cores take in turn; what it needs
 * beside them is 8 KB a chunk, a thirtieth of a byte a weight.
 */
final class Selection {
    private static final int CHUNK = 1 << 18;
    private static final int BLOCK = 1 << 12;
    private static final int MAGNITUDE = 0x7fff_ffff;
    private static final int INFINITY = 0x7f80_0000;

    /** The key of an entry that is pruned already: below every magnitude. */
    private static final int PRUNED = -1;

    /** The last bit and the width of the digits, from the highest. */
    private static final int[] SHIFTS = {20, 10, 0};

    private static final int[] WIDTHS = {11, 10, 10};

    private final List<Chunk> chunks;

    private Selection(List<Chunk> chunks) {
        this.chunks = chunks;
    }

    /** Scores, and the mask that lies on them already, if any: what is selected among. */
    record Entries(Tensor scores, @Nullable Tensor mask) {}

    /** Whether all these scores are ranked as floats without loss. */
    static boolean serves(List<Entries> entries) {
        return entries.stream()
                .map(each -> Tensors.type(each.scores()))
                .allMatch(
                        EnumSet.of(ScalarType.Float, ScalarType.Half, ScalarType.BFloat16)
                                ::contains);
    }

    /**
     * The masks, of float, after {@code amount} of all the entries that are still kept is pruned:
     * those of smallest magnitude, of equals the earlier ones.
     */
    static List<Tensor> lowest(List<Entries> entries, Amount amount) {
        List<Tensor> read = new ArrayList<>();
        List<Tensor> masks = new ArrayList<>();
        List<Chunk> chunks = new ArrayList<>();
        for (Entries each : entries) {
            Tensor scores = plain(each.scores());
            Tensor kept = each.mask() == null ? null : plain(each.mask());
            Tensor mask = torch.empty(Tensors.shape(scores));
            read.add(scores);
            if (kept != null) {
                read.add(kept);
            }
            masks.add(mask);
            for (long from = 0; from < scores.numel(); from += CHUNK) {
                chunks.add(Chunk.of(scores, kept, mask, from));
            }
        }
        try {
            if (!new Selection(chunks).prune(amount)) {
                entries.forEach(each -> Scores.requireNumbers(each.scores()));
            }
            return masks;
        } finally {
            Reference.reachabilityFence(read);
        }
    }

    private static Tensor plain(Tensor tensor) {
        return tensor.detach().to(ScalarType.Float).contiguous();
    }

    /** Writes the masks; {@code false} if there is a NaN. */
    private boolean prune(Amount amount) {
        int prefix = 0;
        long rank = 0;
        long equal = 0;
        for (int digit = 0; digit < SHIFTS.length; digit++) {
            long[] histogram = histogram(digit, prefix);
            if (digit == 0) {
                rank = amount.of(Arrays.stream(histogram).sum());
                if (chunks.stream().anyMatch(chunk -> chunk.hasNaN)) {
                    return false;
                }
                if (rank == 0) {
                    write(PRUNED);
                    return true;
                }
            }
            int bin = 0;
            while (rank > histogram[bin]) {
                rank -= histogram[bin++];
            }
            prefix = (prefix << WIDTHS[digit]) | bin;
            equal = histogram[bin];
        }
        if (rank == equal) {
            write(prefix);
        } else {
            write(prefix - 1);
            for (int i = 0; rank > 0; i++) {
                rank = chunks.get(i).pruneFirst(prefix, rank);
            }
        }
        return true;
    }

    /** How many entries that start with {@code prefix} have each value of the next digit. */
    private long[] histogram(int digit, int prefix) {
        return chunks.stream()
                .parallel()
                .map(chunk -> chunk.histogram(digit, prefix))
                .collect(
                        () -> new long[1 << WIDTHS[digit]],
                        (sum, counts) -> Arrays.setAll(sum, i -> sum[i] + counts[i]),
                        (sum, other) -> Arrays.setAll(sum, i -> sum[i] + other[i]));
    }

    /** Keeps what is above a key. */
    private void write(int key) {
        chunks.stream().parallel().forEach(chunk -> chunk.write(key));
    }

    /** A run of entries, small enough that cores share the work evenly. */
    private static final class Chunk {
        private final MemorySegment scores;
        private final @Nullable MemorySegment kept;
        private final MemorySegment mask;
        private final int length;
        private boolean hasNaN;

        private Chunk(
                MemorySegment scores,
                @Nullable MemorySegment kept,
                MemorySegment mask,
                int length) {
            this.scores = scores;
            this.kept = kept;
            this.mask = mask;
            this.length = length;
        }

        static Chunk of(Tensor scores, @Nullable Tensor kept, Tensor mask, long from) {
            int length = (int) Math.min(CHUNK, scores.numel() - from);
            return new Chunk(
                    slice(scores, from, length),
                    kept == null ? null : slice(kept, from, length),
                    slice(mask, from, length),
                    length);
        }

        private static MemorySegment slice(Tensor tensor, long from, int length) {
            return Tensors.segment(tensor).asSlice(from * Float.BYTES, (long) length * Float.BYTES);
        }

        /** Reads the keys of up to a block of entries. */
        private int load(int from, int[] keys) {
            int n = Math.min(BLOCK, length - from);
            long offset = (long) from * Float.BYTES;
            MemorySegment.copy(scores, ValueLayout.JAVA_INT, offset, keys, 0, n);
            for (int i = 0; i < n; i++) {
                keys[i] &= MAGNITUDE;
            }
            if (kept != null) {
                for (int i = 0; i < n; i++) {
                    if (kept.getAtIndex(ValueLayout.JAVA_FLOAT, from + i) == 0) {
                        keys[i] = PRUNED;
                    }
                }
            }
            return n;
        }

        int[] histogram(int digit, int prefix) {
            int shift = SHIFTS[digit];
            int width = WIDTHS[digit];
            int[] counts = new int[1 << width];
            int[] keys = new int[BLOCK];
            int largest = 0;
            for (int from = 0; from < length; from += BLOCK) {
                int n = load(from, keys);
                if (digit == 0) {
                    for (int i = 0; i < n; i++) {
                        largest = Math.max(largest, keys[i]);
                    }
                }
                for (int i = 0; i < n; i++) {
                    if (keys[i] >> (shift + width) == prefix) {
                        counts[(keys[i] >> shift) & ((1 << width) - 1)]++;
                    }
                }
            }
            hasNaN |= largest > INFINITY;
            return counts;
        }

        void write(int key) {
            int[] keys = new int[BLOCK];
            float[] values = new float[BLOCK];
            for (int from = 0; from < length; from += BLOCK) {
                int n = load(from, keys);
                for (int i = 0; i < n; i++) {
                    values[i] = keys[i] > key ? 1 : 0;
                }
                MemorySegment.copy(
                        values, 0, mask, ValueLayout.JAVA_FLOAT, (long) from * Float.BYTES, n);
            }
        }

        /** Prunes the first entries of this key; returns how many are still to be found. */
        long pruneFirst(int key, long count) {
            long left = count;
            int[] keys = new int[BLOCK];
            for (int from = 0; from < length && left > 0; from += BLOCK) {
                int n = load(from, keys);
                for (int i = 0; i < n && left > 0; i++) {
                    if (keys[i] == key) {
                        mask.setAtIndex(ValueLayout.JAVA_FLOAT, from + i, 0);
                        left--;
                    }
                }
            }
            return left;
        }
    }
}
