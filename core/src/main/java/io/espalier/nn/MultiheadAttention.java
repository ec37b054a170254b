package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;

/**
 * Attention with several heads: {@code softmax(Q Kᵀ / √d) V} in each head, the heads side by side
 * through a last linear map.
 *
 * <p>Inputs: one tensor for self-attention, or query [L, N, E], key [S, N, E] and value [S, N, E]
 * ([N, L, E] with {@code batchFirst}, [L, E] without a batch); then, as an option, the keys to
 * leave out [N, S] and the attention's mask [L, S] or [N · heads, L, S]. A mask of booleans leaves
 * out what is true, one of floats is added to the scores; {@code new Tensor()} stands for none.
 * Outputs: the result [L, N, E] and the weights [N, L, S], the mean over the heads.
 *
 * <p>Source: Vaswani et al., <a href="https://arxiv.org/abs/1706.03762">Attention Is All You
 * Need</a>, 2017.
 */
public class MultiheadAttention extends Module implements AllAtOnce {
    private long size;
    private long heads;
    private long headSize;
    private final Options options;
    private final Linear outProj;

    /**
     * How an attention differs from the plain one.
     *
     * @param dropout the share of the weights that is dropped in training
     * @param bias whether the linear maps have biases
     * @param batchFirst whether the tensors are [N, L, E] and not [L, N, E]
     * @param needWeights whether the weights are an output; without them it is faster
     * @param headSize the size of each head's query, key and value; 0 for E over the heads
     * @param lookedInto whether tracing looks into it, so that a graph shows its linear maps,
     *     products and softmax; else it is one step of a graph
     */
    public record Options(
            double dropout,
            boolean bias,
            boolean batchFirst,
            boolean needWeights,
            long headSize,
            boolean lookedInto) {
        /** PyTorch's defaults: biases, the sequence first, the weights as second output. */
        public static final Options DEFAULT = new Options(0, true, false, true, 0, false);

        /** The same with another share dropped. */
        public Options dropout(double value) {
            return new Options(value, bias, batchFirst, needWeights, headSize, lookedInto);
        }

        /** The same with or without biases. */
        public Options bias(boolean value) {
            return new Options(dropout, value, batchFirst, needWeights, headSize, lookedInto);
        }

        /** The same for [N, L, E] or for [L, N, E]. */
        public Options batchFirst(boolean value) {
            return new Options(dropout, bias, value, needWeights, headSize, lookedInto);
        }

        /** The same with or without the weights as second output. */
        public Options needWeights(boolean value) {
            return new Options(dropout, bias, batchFirst, value, headSize, lookedInto);
        }

        /** The same with heads of another size, which the heads left of a wider layer have. */
        public Options headSize(long value) {
            return new Options(dropout, bias, batchFirst, needWeights, value, lookedInto);
        }

        /** The same, looked into by tracing or as one step. */
        public Options lookedInto(boolean value) {
            return new Options(dropout, bias, batchFirst, needWeights, headSize, value);
        }
    }

    /** An attention with PyTorch's defaults. */
    public MultiheadAttention(long size, long heads) {
        this(size, heads, options -> options);
    }

    /**
     * An attention with other options, such as {@code o -> o.batchFirst(true)}.
     *
     * @param size E, the size of each element of the sequences
     * @param heads the number of heads, which divides the size
     * @throws EspalierException if a number is out of range or the heads don't divide the size
     */
    public MultiheadAttention(long size, long heads, UnaryOperator<Options> with) {
        this(size, heads, Needed.from(with, Options.DEFAULT, "the options"), null);
    }

    private MultiheadAttention(
            long size,
            long heads,
            Options options,
            @Nullable NonDynamicallyQuantizableLinear given) {
        this.size = Extents.requireAtLeast("embed_dim", size, 1);
        this.heads = Extents.requireAtLeast("num_heads", heads, 1);
        this.options = options;
        Dropout.requireShare(options.dropout);
        if (options.headSize == 0 && size % heads != 0) {
            throw new EspalierException(
                    "embed_dim must be divisible by num_heads; asked for "
                            + size
                            + " and "
                            + heads
                            + ".");
        }
        this.headSize =
                options.headSize == 0
                        ? size / heads
                        : Extents.requireAtLeast("head_size", options.headSize, 1);
        long width = width();
        if (given != null) {
            this.outProj = given;
            return;
        }
        // PyTorch draws the last map's values before the first's.
        var projection = new NonDynamicallyQuantizableLinear(width, size, options.bias);
        addParameter("in_proj_weight", Init.xavierUniform(size, 3 * width, 3 * width, size));
        if (options.bias) {
            addParameter("in_proj_bias", Tensors.zeros(3 * width));
            projection.parameter("bias").detach().zero_();
        }
        this.outProj = add("out_proj", projection);
    }

    /**
     * An attention of these tensors, which it holds as they are: both linear maps' weights [3 ·
     * width, E] and [E, width] and biases [3 · width] and [E], or {@code null} for both; the width
     * is that of all heads together.
     *
     * @throws EspalierException if a tensor has another shape, or the heads don't divide the width
     */
    public static MultiheadAttention of(
            long heads,
            Tensor inWeight,
            @Nullable Tensor inBias,
            Tensor outWeight,
            @Nullable Tensor outBias,
            UnaryOperator<Options> with) {
        Given.requireDimensions("MultiheadAttention", outWeight, 2);
        long width = outWeight.size(1);
        if (heads < 1 || width % heads != 0 || (inBias == null) != (outBias == null)) {
            throw new EspalierException(
                    "An attention has both biases or none, and as many heads as divide its width; "
                            + "given were "
                            + heads
                            + " heads and a width of "
                            + width
                            + ".");
        }
        var projection = new NonDynamicallyQuantizableLinear(outWeight, outBias);
        Options options =
                Needed.from(with, Options.DEFAULT, "the options")
                        .bias(inBias != null)
                        .headSize(width / heads);
        var layer = new MultiheadAttention(outWeight.size(0), heads, options, projection);
        layer.addParameter(
                "in_proj_weight",
                Given.checked(layer.typeName(), "in_proj_weight", inWeight, 3 * width, layer.size));
        Given.add(layer, "in_proj_bias", inBias, 3 * width);
        layer.add("out_proj", projection);
        return layer;
    }

    /**
     * An attention like this one with some of its heads only, in this order; masks go with their
     * weights.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public MultiheadAttention withHeads(long... kept) {
        Selection.require(this, "heads", heads, kept);
        long[] rows =
                Selection.blocks(
                        headSize,
                        LongStream.range(0, 3)
                                .flatMap(part ->
                                        Arrays.stream(kept).map(head -> part * heads + head))
                                .toArray());
        long[] columns = Selection.blocks(headSize, kept);
        MultiheadAttention layer =
                new Selection(this)
                        .with(this, "in_proj_weight", t -> Selection.select(t, 0, rows))
                        .with(this, "in_proj_bias", t -> Selection.select(t, 0, rows))
                        .with(outProj, "weight", t -> Selection.select(t, 1, columns))
                        .apply();
        layer.resize(size, headSize, kept.length);
        return layer;
    }

    /**
     * An attention like this one over some features only of its sequences and its result, in this
     * order; the heads stay as wide as they are.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public MultiheadAttention withFeatures(long... kept) {
        Selection.require(this, "features", size, kept);
        MultiheadAttention layer =
                new Selection(this)
                        .with(this, "in_proj_weight", t -> Selection.select(t, 1, kept))
                        .with(outProj, "weight", t -> Selection.select(t, 0, kept))
                        .with(outProj, "bias", t -> Selection.select(t, 0, kept))
                        .apply();
        layer.resize(kept.length, headSize, heads);
        return layer;
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long features, long newHeadSize, long newHeads) {
        size = features;
        headSize = newHeadSize;
        heads = newHeads;
        outProj.resize(width(), size);
    }

    /** The size of all heads together. */
    private long width() {
        return heads * headSize;
    }

    /** The size of each element of the sequences. */
    public long embedDim() {
        return size;
    }

    /** The number of heads. */
    public long numHeads() {
        return heads;
    }

    /** The size of each head's query, key and value. */
    public long headSize() {
        return headSize;
    }

    /** The options for a layer like it. */
    public Options options() {
        return width() == size ? options.headSize(0) : options.headSize(headSize);
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        long[] query = inputs.getFirst();
        long[] key = inputs.size() > 1 ? inputs.get(1) : query;
        int length = query.length == 3 && options.batchFirst ? 1 : 0;
        long positions = Arrays.stream(query).reduce(1, (a, b) -> a * b);
        long keys = Arrays.stream(key).reduce(1, (a, b) -> a * b);
        return (2 * positions + 2 * keys) * size + 2 * positions * key[length];
    }

    @Override
    public boolean isAtomic() {
        return !options.lookedInto && computesAs(MultiheadAttention.class);
    }

    @Override
    protected Tensor forward(Tensor input) {
        return only(attended(List.of(input)));
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return attended(inputs);
    }

    private List<Tensor> attended(List<Tensor> inputs) {
        int count = inputs.size();
        if (count != 1 && (count < 3 || count > 5)) {
            throw new EspalierException(
                    typeName()
                            + " takes one tensor, or query, key, value and up to two masks; it was"
                            + " called with "
                            + count
                            + " tensors.");
        }
        Tensor query = inputs.getFirst();
        List<Tensor> sequences = count == 1 ? List.of(query, query, query) : inputs.subList(0, 3);
        for (Tensor sequence : sequences) {
            if ((sequence.dim() != 2 && sequence.dim() != 3)
                    || sequence.dim() != query.dim()
                    || sequence.size(-1) != size) {
                throw wrongInput(
                        sequence, "2 or 3 dimensions are needed, the last of size " + size + ".");
            }
        }
        List<Tensor> projected = project(sequences);
        Tensor mask =
                new AttentionMasks(this, projected.getFirst(), projected.get(1))
                        .both(
                                count > 3 ? inputs.get(3) : new Tensor(),
                                count > 4 ? inputs.get(4) : new Tensor());
        List<Tensor> results = attend(projected, mask);
        boolean batched = query.dim() == 3;
        Tensor joined = Functional.flatten(Functional.transpose(results.getFirst(), 1, 2), 2, 3);
        Tensor output = outProj.call(batched ? arrange(joined) : Functional.squeeze(joined, 0));
        if (results.size() == 1) {
            return List.of(output);
        }
        Tensor weights = Functional.mean(results.getLast(), new long[] {1}, false);
        return List.of(output, batched ? weights : Functional.squeeze(weights, 0));
    }

    /** Query, key and value as [N, heads, length, size of a head]. */
    @SuppressWarnings("ReferenceEquality") // whether one tensor is all three
    private List<Tensor> project(List<Tensor> sequences) {
        Tensor weight = value("in_proj_weight");
        Tensor bias = valueOrNull("in_proj_bias");
        Tensor query = sequences.getFirst();
        boolean self = sequences.stream().allMatch(sequence -> sequence == query);
        Tensor all = self ? Functional.linear(batched(query), weight, bias) : null;
        long width = width();
        List<Tensor> parts = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Tensor part =
                    all != null
                            ? Functional.narrow(all, 2, i * width, width)
                            : Functional.linear(
                                    batched(sequences.get(i)),
                                    Functional.narrow(weight, 0, i * width, width),
                                    bias == null
                                            ? null
                                            : Functional.narrow(bias, 0, i * width, width));
            parts.add(Functional.transpose(Functional.unflatten(part, 2, heads, headSize), 1, 2));
        }
        return parts;
    }

    /** A sequence as [N, L, E]. */
    private Tensor batched(Tensor x) {
        return x.dim() == 3 ? arrange(x) : Functional.unsqueeze(x, 0);
    }

    /** From the caller's order of the first two dimensions to [N, L, E], and back. */
    private Tensor arrange(Tensor x) {
        return options.batchFirst ? x : Functional.transpose(x, 0, 1);
    }

    private List<Tensor> attend(List<Tensor> projected, @Nullable Tensor mask) {
        Tensor query = projected.getFirst();
        Tensor key = projected.get(1);
        Tensor value = projected.getLast();
        double dropout = isTraining() ? options.dropout : 0;
        if (!options.needWeights && !CallRecorder.CURRENT.isBound()) {
            return List.of(Functional.scaledDotProductAttention(query, key, value, mask, dropout));
        }
        Tensor scores =
                Functional.matmul(
                        Functional.mul(query, 1 / Math.sqrt(headSize)),
                        Functional.transpose(key, 2, 3));
        Tensor weights =
                Functional.softmax(mask == null ? scores : Functional.add(scores, mask), -1);
        weights = Functional.dropout(weights, dropout, dropout > 0);
        Tensor result = Functional.matmul(weights, value);
        return options.needWeights ? List.of(result, weights) : List.of(result);
    }
}
