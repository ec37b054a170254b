package io.espalier.prune;

import org.bytedeco.pytorch.Tensor;

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
     * A method that prunes by place, such as in every group or block of neighbours. It is always
     * given the whole tensor, with what earlier pruning left as the default mask.
     */
    non-sealed interface Patterned extends PruningMethod {}

    /** A method that prunes whole channels. It is given the channels that still keep something. */
    non-sealed interface Structured extends PruningMethod {
        /** The dimension whose indices are the channels; negative counts from the last. */
        int dim();
    }
}
