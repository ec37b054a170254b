package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

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
public class MultiheadAttention extends Module {
    private final long size;
    private final long heads;
    private final Options options;
    private final Linear outProj;

    /**
     * How an attention differs from the plain one.
     *
     * @param dropout the share of the weights that is dropped in training
     * @param bias whether the linear maps have biases
     * @param batchFirst whether the tensors are [N, L, E] and not [L, N, E]
     * @param needWeights whether the weights are an output; without them it is faster
     */
    public record Options(double dropout, boolean bias, boolean batchFirst, boolean needWeights) {
        /** PyTorch's defaults: biases, the sequence first, the weights as second output. */
        public static final Options DEFAULT = new Options(0, true, false, true);

        /** The same with another share dropped. */
        public Options dropout(double value) {
            return new Options(value, bias, batchFirst, needWeights);
        }

        /** The same with or without biases. */
        public Options bias(boolean value) {
            return new Options(dropout, value, batchFirst, needWeights);
        }

        /** The same for [N, L, E] or for [L, N, E]. */
        public Options batchFirst(boolean value) {
            return new Options(dropout, bias, value, needWeights);
        }

        /** The same with or without the weights as second output. */
        public Options needWeights(boolean value) {
            return new Options(dropout, bias, batchFirst, value);
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
        this.size = Extents.requireAtLeast("embed_dim", size, 1);
        this.heads = Extents.requireAtLeast("num_heads", heads, 1);
        this.options = with.apply(Options.DEFAULT);
        Dropout.requireShare(options.dropout);
        if (size % heads != 0) {
            throw new EspalierException(
                    "embed_dim must be divisible by num_heads; asked for "
                            + size
                            + " and "
                            + heads
                            + ".");
        }
        // PyTorch draws the last map's values before the first's.
        var projection = new NonDynamicallyQuantizableLinear(size, options.bias);
        addParameter("in_proj_weight", Init.xavierUniform(size, 3 * size, 3 * size, size));
        if (options.bias) {
            addParameter("in_proj_bias", Tensors.zeros(3 * size));
            projection.parameter("bias").detach().zero_();
        }
        this.outProj = add("out_proj", projection);
    }

    /** The size of each element of the sequences. */
    public long embedDim() {
        return size;
    }

    /** The number of heads. */
    public long numHeads() {
        return heads;
    }

    /** The options it was made with, for a layer like it. */
    public Options options() {
        return options;
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
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
                mask(
                        projected.getFirst(),
                        projected.get(1),
                        count > 3 ? inputs.get(3) : new Tensor(),
                        count > 4 ? inputs.get(4) : new Tensor());
        List<Tensor> results = attend(projected, mask);
        boolean batched = query.dim() == 3;
        Tensor joined = results.getFirst().transpose(1, 2).flatten(2, 3); // [N, L, E]
        Tensor output = outProj.call(batched ? arrange(joined) : joined.squeeze(0));
        if (results.size() == 1) {
            return List.of(output);
        }
        Tensor weights = results.getLast().mean(1);
        return List.of(output, batched ? weights : weights.squeeze(0));
    }

    /** Query, key and value as [N, heads, length, E / heads]. */
    private List<Tensor> project(List<Tensor> sequences) {
        Tensor weight = value("in_proj_weight");
        Tensor bias = valueOrNull("in_proj_bias");
        List<Tensor> parts = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Tensor x = sequences.get(i);
            Tensor part =
                    Functional.linear(
                            x.dim() == 3 ? arrange(x) : x.unsqueeze(0),
                            weight.narrow(0, i * size, size),
                            bias == null ? null : bias.narrow(0, i * size, size));
            parts.add(part.unflatten(2, heads, size / heads).transpose(1, 2));
        }
        return parts;
    }

    /** From the caller's order of the first two dimensions to [N, L, E], and back. */
    private Tensor arrange(Tensor x) {
        return options.batchFirst ? x : x.transpose(0, 1);
    }

    private List<Tensor> attend(List<Tensor> projected, @Nullable Tensor mask) {
        Tensor query = projected.getFirst();
        Tensor key = projected.get(1);
        Tensor value = projected.getLast();
        double dropout = isTraining() ? options.dropout : 0;
        if (!options.needWeights) {
            return List.of(Functional.scaledDotProductAttention(query, key, value, mask, dropout));
        }
        Tensor scores =
                query.mul(new Scalar(1 / Math.sqrt((double) size / heads)))
                        .matmul(key.transpose(2, 3));
        Tensor weights = Functional.softmax(mask == null ? scores : scores.add(mask), -1);
        weights = Functional.dropout(weights, dropout, dropout > 0);
        return List.of(weights.matmul(value), weights);
    }

    /** Both masks as one that is added to the scores [N, heads, L, S]; {@code null} for none. */
    private @Nullable Tensor mask(Tensor query, Tensor key, Tensor leftOut, Tensor attention) {
        long batch = query.size(0);
        long length = query.size(2);
        long keys = key.size(2);
        Tensor byKey = null;
        if (leftOut.defined()) {
            requireMask("the keys to leave out", leftOut, batch, keys);
            byKey = additive(leftOut, query).view(batch, 1, 1, keys);
        }
        if (!attention.defined()) {
            return byKey;
        }
        Tensor byPair = additive(attention, query);
        if (attention.dim() == 3) {
            requireMask("the attention's mask", attention, batch * heads, length, keys);
            byPair = byPair.view(batch, heads, length, keys);
        } else {
            requireMask("the attention's mask", attention, length, keys);
        }
        return byKey == null ? byPair : byPair.add(byKey);
    }

    private void requireMask(String what, Tensor mask, long... shape) {
        if (mask.numel() != Arrays.stream(shape).reduce(1, (a, b) -> a * b)
                || mask.size(-1) != shape[shape.length - 1]) {
            throw wrongInput(mask, what + " must be of shape " + Arrays.toString(shape) + ".");
        }
    }

    private Tensor additive(Tensor mask, Tensor like) {
        if (Tensors.type(mask) == ScalarType.Bool) {
            Tensor zeros = torch.zeros(Tensors.shape(mask), like.options());
            return zeros.masked_fill(mask, new Scalar(Double.NEGATIVE_INFINITY));
        }
        if (!mask.is_floating_point()) {
            throw wrongInput(
                    mask, "a mask is Bool or of floats; it is " + Tensors.type(mask) + ".");
        }
        return mask;
    }
}
