package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.T_TensorTensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

import java.lang.ref.Reference;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.function.UnaryOperator;

/**
 * A table of vectors, of which each bag of indices gets the sum, the mean or the largest elements:
 * as an {@link Embedding} and a reduction after it, without the vectors in between.
 *
 * <p>Inputs: indices [N, L], each row a bag; or indices [M] and offsets [N], where each bag begins.
 * After them, for sums, weights of the indices' shape. Output: [N, size]; an empty bag gives zeros.
 */
public non-sealed class EmbeddingBag extends VectorTable implements AllAtOnce {
    private final Options options;

    /** What a bag's vectors become. */
    public enum Mode {
        /** Their sum, weighted where there are weights. */
        SUM(0),
        /** Their mean. */
        MEAN(1),
        /** The largest of each element. */
        MAX(2);

        private final long number;

        Mode(long number) {
            this.number = number;
        }

        /** The name as PyTorch writes it. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * How a table differs from the plain one.
     *
     * @param mode what a bag's vectors become
     * @param paddingIndex the vector that counts in no bag and is not trained; a negative index
     *     counts from the end
     * @param includeLastOffset whether the offsets end with the end of the last bag, so that there
     *     is one more of them than bags
     */
    public record Options(Mode mode, OptionalLong paddingIndex, boolean includeLastOffset) {
        /** PyTorch's defaults: means, no padding. */
        public static final Options DEFAULT = new Options(Mode.MEAN, OptionalLong.empty(), false);

        /** The same with another reduction. */
        public Options mode(Mode value) {
            return new Options(value, paddingIndex, includeLastOffset);
        }

        /** The same with a vector that counts in no bag. */
        public Options paddingIndex(long value) {
            return new Options(mode, OptionalLong.of(value), includeLastOffset);
        }

        /** The same with offsets that end with the end of the last bag, or without. */
        public Options includeLastOffset(boolean value) {
            return new Options(mode, paddingIndex, value);
        }
    }

    /**
     * A table whose elements are drawn from the standard normal distribution; bags are averaged.
     */
    public EmbeddingBag(long count, long size) {
        this(count, size, options -> options);
    }

    /**
     * A table with other options, such as {@code o -> o.mode(SUM).paddingIndex(0)}. The padding's
     * vector is 0.
     *
     * @throws EspalierException if a size is below 1 or there is no such padding index
     */
    public EmbeddingBag(long count, long size, UnaryOperator<Options> with) {
        this(count, size, inTable(count, Needed.from(with, Options.DEFAULT, "the options")));
    }

    private EmbeddingBag(long count, long size, Options options) {
        super(count, size, options.paddingIndex);
        this.options = options;
    }

    private EmbeddingBag(Tensor weight, Options options) {
        super(weight);
        this.options = inTable(weight.size(0), options);
    }

    /**
     * A table of this weight [count, size], which it holds as it is.
     *
     * @throws EspalierException if the weight has other dimensions or there is no such padding
     *     index
     */
    public static EmbeddingBag of(Tensor weight, UnaryOperator<Options> with) {
        return new EmbeddingBag(weight, Needed.from(with, Options.DEFAULT, "the options"));
    }

    /**
     * A table like this one of some elements of each vector only, in this order; masks go with
     * their weight.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public EmbeddingBag withOutputs(long... kept) {
        return narrowed(kept);
    }

    private static Options inTable(long count, Options given) {
        OptionalLong padding = given.paddingIndex;
        return padding.isPresent()
                ? given.paddingIndex(inTable(count, padding.getAsLong()))
                : given;
    }

    /** The options it was made with; a padding index counts from the start. */
    public Options options() {
        return options;
    }

    @Override
    public boolean isAtomic() {
        return computesAs(EmbeddingBag.class);
    }

    @Override
    protected Tensor forward(Tensor input) {
        return only(reduced(List.of(input)));
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return reduced(inputs);
    }

    private List<Tensor> reduced(List<Tensor> inputs) {
        Bags bags = Bags.of(this, options, inputs);
        Tensor weights = bags.weights();
        T_TensorTensorTensorTensor_T result =
                torch.embedding_bag(
                        weight(),
                        bags.indices(),
                        bags.offsets(),
                        false,
                        options.mode.number,
                        false,
                        weights == null ? new TensorOptional() : new TensorOptional(weights),
                        false,
                        options.paddingIndex.isPresent()
                                ? new LongOptional(options.paddingIndex.getAsLong())
                                : new LongOptional());
        try {
            return List.of(new Tensor(result.get0()));
        } finally {
            Reference.reachabilityFence(result);
        }
    }

    @Override
    protected String extraRepr() {
        return numEmbeddings()
                + ", "
                + embeddingDim()
                + ", mode='"
                + options.mode
                + "'"
                + paddingRepr(options.paddingIndex);
    }
}
