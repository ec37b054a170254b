package io.espalier.prune;

import io.espalier.tensor.Needed;

/**
 * Prunes the entries of smallest magnitude; of equal magnitudes the one with the lower index goes
 * first. As {@code torch.nn.utils.prune.L1Unstructured}.
 *
 * @param amount how much of what is still kept
 */
public record L1Unstructured(Amount amount) implements PruningMethod.Ranked {
    /** Refuses null. */
    public L1Unstructured {
        Needed.of(amount, "the amount to prune");
    }

    /** Prunes a share, from 0 to 1, of what is still kept. */
    public L1Unstructured(double amount) {
        this(Amount.share(amount));
    }

    /** Prunes a count of entries. */
    public L1Unstructured(long amount) {
        this(Amount.count(amount));
    }

    @Override
    public Choice choice() {
        return Choice.lowest(amount);
    }
}
