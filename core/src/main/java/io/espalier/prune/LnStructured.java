package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

/**
 * Prunes the channels of smallest Lₙ norm, (Σ|w|ⁿ)^(1/n); of equal norms the channel with the lower
 * index goes first. As {@code torch.nn.utils.prune.LnStructured}.
 *
 * @param amount how many of the channels that still keep something
 * @param n the norm: any positive number, or an infinity: ∞ ranks a channel by its largest
 *     magnitude, −∞ by its smallest
 * @param dim the dimension whose indices are the channels; negative counts from the last
 */
public record LnStructured(Amount amount, double n, int dim)
        implements PruningMethod.RankedChannels {
    public LnStructured {
        Needed.of(amount, "the amount to prune");
        if (!(n > 0 || n == Double.NEGATIVE_INFINITY)) {
            throw new EspalierException(
                    "There is no norm of order "
                            + n
                            + " to prune by; n is a positive number, infinity or -infinity.");
        }
    }

    /** Prunes a share, from 0 to 1, of the channels. */
    public LnStructured(double amount, double n, int dim) {
        this(Amount.share(amount), n, dim);
    }

    /** Prunes a count of channels. */
    public LnStructured(long amount, double n, int dim) {
        this(Amount.count(amount), n, dim);
    }

    @Override
    public Choice choice() {
        return Choice.lowest(amount);
    }

    @Override
    public Tensor rank(Tensor scores, int along) {
        return Channels.norms(scores, n, along);
    }
}
