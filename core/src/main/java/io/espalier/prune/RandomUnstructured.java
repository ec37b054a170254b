package io.espalier.prune;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * Prunes entries at random; {@link io.espalier.tensor.Libtorch#seed} makes it repeat. As {@code
 * torch.nn.utils.prune.RandomUnstructured}.
 *
 * @param amount how much of what is still kept
 */
public record RandomUnstructured(Amount amount) implements PruningMethod.Unstructured {
    /** Prunes a share, from 0 to 1, of what is still kept. */
    public RandomUnstructured(double amount) {
        this(Amount.share(amount));
    }

    /** Prunes a count of entries. */
    public RandomUnstructured(long amount) {
        this(Amount.count(amount));
    }

    @Override
    public Tensor computeMask(Tensor scores, Tensor defaultMask) {
        return RandomSelection.of(List.of(new Selection.Entries(scores, defaultMask)), amount)
                .getFirst();
    }
}
