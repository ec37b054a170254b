package io.espalier.prune;

import io.espalier.tensor.LargePages;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;

/**
 * Prunes the entries of smallest magnitude in one or many tensors, in time linear in their number,
 * without sorting or copying them.
 *
 * <p>The magnitude of a float orders as its bits do once the sign is dropped. A radix selection
 * over these 31 bits counts how many entries have each value of the first twelve, and follows the
 * value where the k-th is. Few entries share it: as the masks are written, which decides all
 * others, these are put aside, and the remaining bits are looked at among them alone. So the
 * tensors are read twice and the masks written once. Only where very many entries are equal are the
 * tensors read for the remaining bits too, and nothing is put aside.
 *
 * <p>The tensors are read where they lie, in chunks that the cores take in turn. Beside them and
 * the masks it needs 1/16 byte a weight for counting, and at most 1/4 for what is put aside.
 */
final class Selection {
    /** Of how many entries at most one is put aside, once there are more than a few. */
    static final int RARE = 32;

    private static final int FEW = 1 << 12;

    private final List<SelectionChunk> chunks;

    private Selection(List<SelectionChunk> chunks) {
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
        List<SelectionChunk> chunks = new ArrayList<>();
        for (Entries each : entries) {
            Tensor scores = plain(each.scores());
            Tensor kept = each.mask() == null ? null : plain(each.mask());
            Tensor mask = torch.empty(Tensors.shape(scores));
            LargePages.advise(mask);
            read.add(scores);
            if (kept != null) {
                read.add(kept);
            }
            masks.add(mask);
            chunks.addAll(SelectionChunk.of(scores, kept, mask));
        }
        try {
            if (!new Selection(chunks).prune(amount)) {
                entries.forEach(each -> EntryScores.requireNumbers(each.scores()));
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
        long[] counts = count(Digit.FIRST, 0);
        long total = 0;
        for (int value = 0; value < Digit.FIRST.size(); value++) {
            total += counts[value];
        }
        long rank = amount.of(total);
        if (chunks.stream().anyMatch(SelectionChunk::hasNaN)) {
            return false;
        }
        if (rank == 0) {
            chunks.parallelStream().forEach(chunk -> chunk.writeAbove(SelectionChunk.PRUNED));
            return true;
        }
        int prefix = 0;
        boolean aside = false;
        for (Digit digit : Digit.values()) {
            counts = digit == Digit.FIRST ? counts : count(digit, prefix);
            int value = 0;
            while (rank > counts[value]) {
                rank -= counts[value++];
            }
            prefix = digit.append(prefix, value);
            if (!aside && counts[value] <= Math.max(FEW, total / RARE)) {
                int shared = prefix;
                chunks.parallelStream().forEach(chunk -> chunk.putAside(digit, shared));
                aside = true;
            }
        }
        if (aside) {
            settle(prefix, rank);
        } else {
            writeEqual(prefix, rank);
        }
        return true;
    }

    /** How many entries that start with {@code prefix} have each value of the next digit. */
    private long[] count(Digit digit, int prefix) {
        return chunks.parallelStream()
                .map(chunk -> chunk.count(digit, prefix))
                .collect(() -> new long[digit.size()], Selection::add, Selection::add);
    }

    private static void add(long[] sum, int[] counts) {
        for (int i = 0; i < sum.length; i++) {
            sum[i] += counts[i];
        }
    }

    private static void add(long[] sum, long[] counts) {
        for (int i = 0; i < sum.length; i++) {
            sum[i] += counts[i];
        }
    }

    /** Decides the entries put aside: below a key, and the first so many of it, are pruned. */
    private void settle(int key, long count) {
        long left = count;
        for (SelectionChunk chunk : chunks) {
            left = chunk.settle(key, left);
        }
    }

    /** Writes the masks where nothing was put aside, because very many entries have this key. */
    private void writeEqual(int key, long count) {
        chunks.parallelStream().forEach(chunk -> chunk.writeAbove(key - 1));
        long left = count;
        for (SelectionChunk chunk : chunks) {
            left = chunk.pruneFirst(key, left);
        }
    }

    /** A part of a magnitude's 31 bits. */
    enum Digit {
        FIRST(19, 12),
        SECOND(9, 10),
        LAST(0, 9);

        /** How many bits follow it. */
        final int shift;

        private final int width;

        Digit(int shift, int width) {
            this.shift = shift;
            this.width = width;
        }

        int size() {
            return 1 << width;
        }

        /** What is left of a key once this digit and all after it are dropped. */
        int before(int key) {
            return key >>> (shift + width);
        }

        int append(int prefix, int value) {
            return (prefix << width) | value;
        }
    }
}
