package io.espalier.prune;

import io.espalier.tensor.Needed;

/**
 * Prunes channels at random; {@link io.espalier.tensor.Libtorch#seed} makes it repeat. As {@code
 * torch.nn.utils.prune.RandomStructured}.
 *
 * @param amount how many of the channels that still keep something
 * @param dim the dimension whose indices are the channels; negative counts from the last
 */
public record RandomStructured(Amount amount, int dim) implements PruningMethod.RankedChannels {
    /** Refuses null. */
    public RandomStructured {
        Needed.of(amount, "the amount to prune");
    }

    /** Prunes a share, from 0 to 1, of the channels. */
    public RandomStructured(double amount, int dim) {
        this(Amount.share(amount), dim);
    }

    /** Prunes a count of channels. */
    public RandomStructured(long amount, int dim) {
        this(Amount.count(amount), dim);
    }

    @Override
    public Choice choice() {
        return Choice.atRandom(amount);
    }
}
