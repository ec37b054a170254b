package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * What LSTM and GRU share: layers over a sequence, each fed by the one before, with the weights
 * {@code weight_ih_l0}, {@code weight_hh_l0}, {@code bias_ih_l0}, {@code bias_hh_l0} and so on by
 * PyTorch's names.
 */
public abstract class Recurrent extends Module {
    private final long inputSize;
    private final long hiddenSize;
    private final int states;
    private final Options options;
    private final List<String> names = new ArrayList<>();

    /**
     * How a recurrent network differs from the plain one.
     *
     * @param layers the number of layers
     * @param bias whether there are biases
     * @param batchFirst whether the input is [N, L, size] and not [L, N, size]
     * @param dropout the share dropped between two layers in training
     * @param bidirectional whether a second network reads each layer's input backwards
     */
    public record Options(
            long layers, boolean bias, boolean batchFirst, double dropout, boolean bidirectional) {
        /** PyTorch's defaults: one layer, one direction, the sequence first. */
        public static final Options DEFAULT = new Options(1, true, false, 0, false);

        /** The same with another number of layers. */
        public Options layers(long value) {
            return new Options(value, bias, batchFirst, dropout, bidirectional);
        }

        /** The same with or without biases. */
        public Options bias(boolean value) {
            return new Options(layers, value, batchFirst, dropout, bidirectional);
        }

        /** The same for [N, L, size] or for [L, N, size]. */
        public Options batchFirst(boolean value) {
            return new Options(layers, bias, value, dropout, bidirectional);
        }

        /** The same with another share dropped between two layers. */
        public Options dropout(double value) {
            return new Options(layers, bias, batchFirst, value, bidirectional);
        }

        /** The same with one direction or two. */
        public Options bidirectional(boolean value) {
            return new Options(layers, bias, batchFirst, dropout, value);
        }
    }

    /**
     * A network of a kind.
     *
     * @param gates how many rows of {@code hiddenSize} its weights have
     * @param states how many tensors its state has
     */
    Recurrent(int gates, int states, long inputSize, long hiddenSize, UnaryOperator<Options> with) {
        this.states = states;
        this.inputSize = Extents.requireAtLeast("input_size", inputSize, 1);
        this.hiddenSize = Extents.requireAtLeast("hidden_size", hiddenSize, 1);
        this.options = with.apply(Options.DEFAULT);
        Extents.requireAtLeast("num_layers", options.layers, 1);
        Dropout.requireShare(options.dropout);
        if (options.dropout > 0 && options.layers == 1) {
            throw new EspalierException(
                    "dropout acts between two layers; "
                            + typeName()
                            + " has one. Ask for more layers or no dropout.");
        }
        for (long layer = 0; layer < options.layers; layer++) {
            long fed = layer == 0 ? inputSize : hiddenSize * directions();
            addWeights("_l" + layer, gates * hiddenSize, fed);
            if (options.bidirectional) {
                addWeights("_l" + layer + "_reverse", gates * hiddenSize, fed);
            }
        }
    }

    private void addWeights(String suffix, long rows, long fed) {
        addUniform("weight_ih" + suffix, rows, fed);
        addUniform("weight_hh" + suffix, rows, hiddenSize);
        if (options.bias) {
            addUniform("bias_ih" + suffix, rows);
            addUniform("bias_hh" + suffix, rows);
        }
    }

    private void addUniform(String name, long... shape) {
        addParameter(name, Init.uniform(1 / Math.sqrt(hiddenSize), shape));
        names.add(name);
    }

    /** The size of each element of the sequence. */
    public long inputSize() {
        return inputSize;
    }

    /** The size of the state. */
    public long hiddenSize() {
        return hiddenSize;
    }

    /** The options it was made with, for a layer like it. */
    public Options options() {
        return options;
    }

    private long directions() {
        return options.bidirectional ? 2 : 1;
    }

    /** Runs over [L, N, size] or [N, L, size] from a state; gives the output and the last state. */
    abstract List<Tensor> run(Tensor x, List<Tensor> state, TensorVector weights);

    /** Tensors of their own, where those that a native tuple gives are views into it. */
    static List<Tensor> owned(Pointer tuple, Tensor... parts) {
        try {
            return Arrays.stream(parts).map(Tensor::new).toList();
        } finally {
            Reference.reachabilityFence(tuple);
        }
    }

    /**
     * Runs over a sequence.
     *
     * @param inputs the sequence [L, N, size] ([N, L, size] with {@code batchFirst}, [L, size]
     *     without a batch), and as an option the first state: h [layers · directions, N, hidden]
     *     and, for LSTM, c of the same shape; without it zeros
     * @return the last layer's outputs [L, N, directions · hidden], then the last state
     */
    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        if (inputs.size() != 1 && inputs.size() != 1 + states) {
            throw new EspalierException(
                    typeName()
                            + " takes a sequence, or a sequence and "
                            + (states == 1 ? "a state" : "the states h and c")
                            + "; it was called with "
                            + inputs.size()
                            + " tensors.");
        }
        Tensor x = inputs.getFirst();
        if ((x.dim() != 2 && x.dim() != 3) || x.size(-1) != inputSize) {
            throw wrongInput(
                    x, "2 or 3 dimensions are needed, the last of size " + inputSize + ".");
        }
        if (x.dim() == 3) {
            return runBatch(x, inputs.subList(1, inputs.size()));
        }
        int batchDim = options.batchFirst ? 0 : 1;
        List<Tensor> state = inputs.stream().skip(1).map(tensor -> tensor.unsqueeze(1)).toList();
        List<Tensor> outputs = new ArrayList<>();
        for (Tensor output : runBatch(x.unsqueeze(batchDim), state)) {
            outputs.add(output.squeeze(outputs.isEmpty() ? batchDim : 1));
        }
        return outputs;
    }

    private List<Tensor> runBatch(Tensor x, List<Tensor> given) {
        long[] shape = {
            options.layers * directions(), x.size(options.batchFirst ? 0 : 1), hiddenSize
        };
        List<Tensor> state = new ArrayList<>(given);
        for (Tensor tensor : given) {
            if (!Arrays.equals(Tensors.shape(tensor), shape)) {
                throw wrongInput(
                        x,
                        "the state must be "
                                + Arrays.toString(shape)
                                + "; it is "
                                + Arrays.toString(Tensors.shape(tensor))
                                + ".");
            }
        }
        while (state.size() < states) {
            state.add(torch.zeros(shape, x.options()));
        }
        var weights = new TensorVector();
        names.forEach(name -> weights.push_back(value(name)));
        return run(x, state, weights);
    }

    @Override
    protected String extraRepr() {
        return inputSize
                + ", "
                + hiddenSize
                + (options.layers == 1 ? "" : ", num_layers=" + options.layers)
                + (options.bias ? "" : ", bias=False")
                + (options.batchFirst ? ", batch_first=True" : "")
                + (options.dropout == 0 ? "" : ", dropout=" + Repr.of(options.dropout))
                + (options.bidirectional ? ", bidirectional=True" : "");
    }
}
