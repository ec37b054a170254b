package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.OptionalLong;

/**
 * A table of vectors that indices choose from: what {@link Embedding} and {@link EmbeddingBag}
 * share.
 */
abstract sealed class VectorTable extends Module permits Embedding, EmbeddingBag {
    private final long count;
    private long size;

    /**
     * A table whose elements are drawn from the standard normal distribution.
     *
     * @param padding the vector that is 0 at first, counted from the start
     */
    VectorTable(long count, long size, OptionalLong padding) {
        this.count = Extents.requireAtLeast("num_embeddings", count, 1);
        this.size = Extents.requireAtLeast("embedding_dim", size, 1);
        Tensor weight = addParameter("weight", Tensors.randn(count, size));
        if (padding.isPresent()) {
            try (var guard = new NoGradGuard()) {
                weight.select(0, padding.getAsLong()).zero_();
            }
        }
    }

    /** A table of a given weight [count, size]. */
    VectorTable(Tensor weight) {
        Given.requireDimensions("A table of vectors", weight, 2);
        this.count = weight.size(0);
        this.size = weight.size(1);
        addParameter("weight", weight);
    }

    /** A table like this one of some elements of each vector only. */
    @SuppressWarnings("TypeParameterUnusedInFormals") // the caller is of this class
    final <T extends VectorTable> T narrowed(long... kept) {
        Selection.require(this, "elements", size, kept);
        T table = new Selection(this).along("weight", 1, kept).apply();
        ((VectorTable) table).resize(kept.length);
        return table;
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long elements) {
        size = elements;
    }

    /** An index counted from the start; a negative one counts from the end. */
    static long inTable(long count, long index) {
        if (index < -count || index >= count) {
            throw new EspalierException(
                    "padding_idx must be in "
                            + -count
                            + "…"
                            + (count - 1)
                            + "; asked for "
                            + index
                            + ".");
        }
        return index < 0 ? count + index : index;
    }

    /** The table [count, size] as {@code forward} sees it. */
    public final Tensor weight() {
        return value("weight");
    }

    /** The number of vectors. */
    public final long numEmbeddings() {
        return count;
    }

    /** The size of each vector. */
    public final long embeddingDim() {
        return size;
    }

    /** What is printed of the padding. */
    static String paddingRepr(OptionalLong padding) {
        return padding.isPresent() ? ", padding_idx=" + padding.getAsLong() : "";
    }
}
