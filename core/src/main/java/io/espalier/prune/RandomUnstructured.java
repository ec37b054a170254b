package io.espalier.prune;

import io.espalier.tensor.Needed;

/**
 * Prunes entries at random; {@link io.espalier.tensor.Libtorch#seed} makes it repeat. As {@code
 * torch.nn.utils.prune.RandomUnstructured}.
 *
 * @param amount how much of what is still kept
 */
public record RandomUnstructured(Amount amount) implements PruningMethod.Ranked {
    /** Refuses null. */
    public RandomUnstructured {
        Needed.of(amount, "the amount to prune");
    }

    /** Prunes a share, from 0 to 1, of what is still kept. */
    public RandomUnstructured(double amount) {
        this(Amount.share(amount));
    }

    /** Prunes a count of entries. */
    public RandomUnstructured(long amount) {
        this(Amount.count(amount));
    }

    @Override
    public Choice choice() {
        return Choice.atRandom(amount);
    }
}
