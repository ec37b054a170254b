package io.espalier.prune;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.List;

/**
 * Prunes the entries of smallest magnitude; of equal magnitudes the one with the lower index goes
 * first. As {@code torch.nn.utils.prune.L1Unstructured}.
 *
 * @param amount how much of what is still kept
 */
public record L1Unstructured(Amount amount) implements PruningMethod.Unstructured {
    /** Prunes a share, from 0 to 1, of what is still kept. */
    public L1Unstructured(double amount) {
        this(Amount.share(amount));
    }

    /** Prunes a count of entries. */
    public L1Unstructured(long amount) {
        this(Amount.count(amount));
    }

    @Override
    public Tensor computeMask(Tensor scores, Tensor defaultMask) {
        var entries = List.of(new Selection.Entries(scores, defaultMask));
        if (Selection.serves(entries)) {
            return Selection.lowest(entries, amount).getFirst();
        }
        Tensor kept = defaultMask.ne(new Scalar(0));
        Tensor magnitudes = scores.detach().masked_select(kept).abs();
        Scores.requireNumbers(magnitudes);
        Tensor ascending = magnitudes.argsort(true, 0, false);
        Tensor lowest = ascending.narrow(0, 0, amount.of(magnitudes.numel()));
        Tensor mask = torch.ones_like(magnitudes).index_fill_(0, lowest, new Scalar(0));
        return torch.zeros_like(defaultMask)
                .masked_scatter_(kept, mask.to(defaultMask.scalar_type()));
    }
}
