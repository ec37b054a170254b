package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.OptionalLong;

/** A table of vectors, looked up by index: integers [*] to [*, size]. */
public class Embedding extends Module {
    private final long count;
    private final long size;
    private final OptionalLong paddingIndex;

    /** A table whose elements are drawn from the standard normal distribution. */
    public Embedding(long count, long size) {
        this(count, size, OptionalLong.empty());
    }

    /**
     * A table with one vector, that of the padding, which is 0 and is not trained.
     *
     * @param paddingIndex the vector's index; a negative one counts from the end
     * @throws EspalierException if a size is below 1 or there is no such index
     */
    public Embedding(long count, long size, long paddingIndex) {
        this(count, size, OptionalLong.of(inTable(count, paddingIndex)));
    }

    private Embedding(long count, long size, OptionalLong paddingIndex) {
        this.count = Extents.requireAtLeast("num_embeddings", count, 1);
        this.size = Extents.requireAtLeast("embedding_dim", size, 1);
        this.paddingIndex = paddingIndex;
        Tensor weight = addParameter("weight", Tensors.randn(count, size));
        if (paddingIndex.isPresent()) {
            try (var guard = new NoGradGuard()) {
                weight.select(0, paddingIndex.getAsLong()).zero_();
            }
        }
    }

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
    public Tensor weight() {
        return value("weight");
    }

    /** The number of vectors. */
    public long numEmbeddings() {
        return count;
    }

    /** The size of each vector. */
    public long embeddingDim() {
        return size;
    }

    /** The index of the vector that is not trained, empty where all are. */
    public OptionalLong paddingIndex() {
        return paddingIndex;
    }

    @Override
    protected Tensor forward(Tensor indices) {
        ScalarType type = Tensors.type(indices);
        if (type != ScalarType.Long && type != ScalarType.Int) {
            throw wrongInput(indices, "indices are Long or Int; these are " + type + ".");
        }
        return Functional.embedding(indices, weight(), paddingIndex.orElse(-1));
    }

    @Override
    protected String extraRepr() {
        String padding =
                paddingIndex.isPresent() ? ", padding_idx=" + paddingIndex.getAsLong() : "";
        return count + ", " + size + padding;
    }
}
