package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.OptionalLong;

/** A table of vectors, looked up by index: integers [*] to [*, size]. */
public non-sealed class Embedding extends VectorTable {
    private final OptionalLong paddingIndex;

    /** A table whose elements are drawn from the standard normal distribution. */
    public Embedding(long count, long size) {
        this(count, size, OptionalLong.empty());
    }

    /**
     * A table with one vector, that of the padding, which is 0 and is not trained.
     *
     * @param paddingIndex the vector's index; a negative one counts from the end
     * @throws io.espalier.tensor.EspalierException if a size is below 1 or there is no such index
     */
    public Embedding(long count, long size, long paddingIndex) {
        this(count, size, OptionalLong.of(inTable(count, paddingIndex)));
    }

    private Embedding(long count, long size, OptionalLong paddingIndex) {
        super(count, size, paddingIndex);
        this.paddingIndex = paddingIndex;
    }

    private Embedding(Tensor weight, OptionalLong paddingIndex) {
        super(weight);
        this.paddingIndex = paddingIndex;
    }

    /**
     * A table of this weight [count, size], which it holds as it is.
     *
     * @throws EspalierException if the weight has other dimensions
     */
    public static Embedding of(Tensor weight) {
        return new Embedding(weight, OptionalLong.empty());
    }

    /**
     * A table of this weight [count, size], which it holds as it is, with a vector that is not
     * trained.
     *
     * @param paddingIndex the vector's index; a negative one counts from the end
     * @throws EspalierException if the weight has other dimensions or there is no such index
     */
    public static Embedding of(Tensor weight, long paddingIndex) {
        Given.requireDimensions("Embedding", weight, 2);
        return new Embedding(weight, OptionalLong.of(inTable(weight.size(0), paddingIndex)));
    }

    /**
     * A table like this one of some elements of each vector only, in this order; masks go with
     * their weight.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public Embedding withOutputs(long... kept) {
        return narrowed(kept);
    }

    /** The index of the vector that is not trained, empty where all are. */
    public OptionalLong paddingIndex() {
        return paddingIndex;
    }

    @Override
    public boolean isAtomic() {
        return computesAs(Embedding.class);
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
        return numEmbeddings() + ", " + embeddingDim() + paddingRepr(paddingIndex);
    }
}
