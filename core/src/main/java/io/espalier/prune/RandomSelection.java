package io.espalier.prune;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Prunes a random subset of the entries of one or many tensors, each subset of the size asked for
 * being equally likely. It goes through the entries once and takes each with the probability of
 * what is still to be taken among what is still to come (Knuth, The Art of Computer Programming,
 * volume 2, algorithm 3.4.2 S), so it needs no memory beside the masks.
 */
final class RandomSelection {
    private final SplittableRandom random;
    private long remaining;
    private long wanted;

    private RandomSelection(long seed, long remaining, long wanted) {
        this.random = new SplittableRandom(seed);
        this.remaining = remaining;
        this.wanted = wanted;
    }

    /** The masks, of float, after {@code amount} of all that is still kept is pruned. */
    static List<Tensor> of(List<Selection.Entries> entries, Amount amount) {
        List<Tensor> masks = new ArrayList<>();
        long kept = 0;
        for (Selection.Entries each : entries) {
            Tensor mask =
                    each.mask() == null
                            ? torch.ones(Tensors.shape(each.scores()))
                            : each.mask().to(ScalarType.Float).contiguous().clone();
            kept += mask.ne(new Scalar(0)).sum().item_long();
            masks.add(mask);
        }
        var selection = new RandomSelection(seed(), kept, amount.of(kept));
        masks.forEach(selection::prune);
        return masks;
    }

    /** A seed from libtorch's generator, so that one call seeds everything. */
    private static long seed() {
        return Tensors.zeros(ScalarType.Long, 1).random_().item_long();
    }

    private void prune(Tensor mask) {
        MemorySegment values = Tensors.segment(mask);
        try {
            for (long i = 0; i < mask.numel() && wanted > 0; i++) {
                if (values.getAtIndex(ValueLayout.JAVA_FLOAT, i) != 0) {
                    if (random.nextLong(remaining) < wanted) {
                        values.setAtIndex(ValueLayout.JAVA_FLOAT, i, 0);
                        wanted--;
                    }
                    remaining--;
                }
            }
        } finally {
            Reference.reachabilityFence(mask);
        }
    }
}
