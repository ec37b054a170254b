package io.espalier.prune;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * A way to choose what is pruned. A method is only its mask: applying it, combining it with earlier
 * masks and removing it is done by {@link Prune}. One of your own is a few lines:
 *
 * <pre>{@code
 * record Threshold(double limit) implements PruningMethod.Unstructured {
 *     @Override public Tensor computeMask(Tensor scores, Tensor defaultMask) {
 *         return defaultMask.mul(scores.abs().gt(new Scalar(limit)));
 *     }
 * }
 * Prune.apply(model.fc, "weight", new Threshold(0.02));
 * }</pre>
 *
 * <p>A method that ranks entries or channels and prunes the lowest says just that, as {@link
 * Ranked} or {@link RankedChannels}, and need not compute the mask itself.
 *
 * <p>As {@code torch.nn.utils.prune.BasePruningMethod}.
 */
public sealed interface PruningMethod
        permits PruningMethod.Unstructured,
                PruningMethod.Structured,
                PruningMethod.Patterned,
                PruningContainer {
    /**
     * The mask: 0 where an entry is pruned, 1 where it is kept.
     *
     * @param scores the importance of what is still kept: the parameter itself unless other scores
     *     were given; not to be changed
     * @param defaultMask what earlier pruning left, of the shape of {@code scores}; not to be
     *     changed
     * @return zeros and ones in the shape of {@code defaultMask}, of any element type
     */
    Tensor computeMask(Tensor scores, Tensor defaultMask);

    /**
     * A method that prunes single entries. The first time it is given the whole tensor; on a
     * parameter that is pruned already, and in global pruning, only the entries still kept, in
     * order, as one dimension.
     */
    non-sealed interface Unstructured extends PruningMethod {}

    /**
     * A method that ranks single entries and says which ranks go. Finding them is done for it, in
     * one tensor or many together, in time linear in their number:
     *
     * <pre>{@code
     * record Relative(Amount amount) implements PruningMethod.Ranked {
     *     @Override public Choice choice() { return Choice.lowest(amount); }
     *     @Override public Tensor rank(Tensor scores) { return scores.div(scores.norm()); }
     * }
     * Prune.globalUnstructured(targets, Relative::new, 0.5);
     * }</pre>
     */
    interface Ranked extends Unstructured {
        /** Which ranks are pruned. */
        Choice choice();

        /**
         * How the entries rank; of a negative number its magnitude counts. Unless said otherwise
         * they rank by their scores.
         *
         * @param scores a whole parameter, or the importance given for it; not to be changed
         * @return numbers in the same shape; of an entry that is pruned already any
         */
        default Tensor rank(Tensor scores) {
            return scores;
        }

        /** Follows from the ranks and the choice; pruning does not ask for it. */
        @Override
        default Tensor computeMask(Tensor scores, Tensor defaultMask) {
            var input = new MaskInput(scores.detach(), null, defaultMask);
            return Choosing.entries(this, List.of(input)).getFirst();
        }
    }

    /**
     * A method that prunes by place, such as in every group or block of neighbours. It is always
     * given the whole tensor, with what earlier pruning left as the default mask.
     */
    non-sealed interface Patterned extends PruningMethod {}

    /** A method that prunes whole channels. It is given the channels that still keep something. */
    non-sealed interface Structured extends PruningMethod {
        /** The dimension whose indices are the channels; negative counts from the last. */
        int dim();
    }

    /** A method that ranks whole channels and says which ranks go; finding them is done for it. */
    interface RankedChannels extends Structured {
        /** Which ranks are pruned. */
        Choice choice();

        /**
         * How the channels rank; of a negative number its magnitude counts. Unless said otherwise
         * they rank by their L2 norm.
         *
         * @param scores the channels that still keep something; not to be changed
         * @param along the dimension whose indices they are, counted from the first
         * @return one number for each channel
         */
        default Tensor rank(Tensor scores, int along) {
            return Channels.norms(scores, 2, along);
        }

        /** Follows from the ranks and the choice; pruning does not ask for it. */
        @Override
        default Tensor computeMask(Tensor scores, Tensor defaultMask) {
            int along = Channels.dimension(scores, dim());
            return Channels.prune(defaultMask, along, Choosing.channels(this, scores, along));
        }
    }
}
