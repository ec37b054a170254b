package io.espalier.prune;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.List;

/**
 * Prunes channels at random; {@link io.espalier.tensor.Libtorch#seed} makes it repeat. As {@code
 * torch.nn.utils.prune.RandomStructured}.
 *
 * @param amount how many of the channels that still keep something
 * @param dim the dimension whose indices are the channels; negative counts from the last
 */
public record RandomStructured(Amount amount, int dim) implements PruningMethod.Structured {
    /** Prunes a share, from 0 to 1, of the channels. */
    public RandomStructured(double amount, int dim) {
        this(Amount.share(amount), dim);
    }

    /** Prunes a count of channels. */
    public RandomStructured(long amount, int dim) {
        this(Amount.count(amount), dim);
    }

    @Override
    public Tensor computeMask(Tensor scores, Tensor defaultMask) {
        int along = Channels.dimension(scores, dim);
        return Channels.prune(defaultMask, along, keptChannels(scores.size(along)));
    }

    /** Of each channel 1 if it is kept, else 0. */
    Tensor keptChannels(long count) {
        Tensor channels = torch.empty(count);
        return RandomSelection.of(List.of(new Selection.Entries(channels, null)), amount)
                .getFirst();
    }
}
