package io.espalier.nn;

import io.espalier.nn.RecurrentShape.Kind;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * What LSTM and GRU share: layers over a sequence, each fed by the one before, with the weights
 * {@code weight_ih_l0}, {@code weight_hh_l0}, {@code bias_ih_l0}, {@code bias_hh_l0} and so on by
 * PyTorch's names.
 */
public abstract class Recurrent extends Module {
    private final RecurrentShape shape;
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

    Recurrent(Kind kind, long inputSize, long hiddenSize, UnaryOperator<Options> with) {
        Options options = with.apply(Options.DEFAULT);
        this.shape =
                new RecurrentShape(
                        kind,
                        Extents.requireAtLeast("input_size", inputSize, 1),
                        Extents.requireAtLeast("hidden_size", hiddenSize, 1),
                        options);
        Extents.requireAtLeast("num_layers", options.layers, 1);
        Dropout.requireShare(options.dropout);
        if (options.dropout > 0 && options.layers == 1) {
            throw new EspalierException(
                    "dropout acts between two layers; "
                            + typeName()
                            + " has one. Ask for more layers or no dropout.");
        }
        for (long layer = 0; layer < options.layers; layer++) {
            long fed = layer == 0 ? inputSize : hiddenSize * shape.directions();
            for (String suffix : shape.suffixes(layer)) {
                addWeights(suffix, kind.gates() * hiddenSize, fed);
            }
        }
    }

    private void addWeights(String suffix, long rows, long fed) {
        addUniform("weight_ih" + suffix, rows, fed);
        addUniform("weight_hh" + suffix, rows, shape.hiddenSize());
        if (shape.options().bias) {
            addUniform("bias_ih" + suffix, rows);
            addUniform("bias_hh" + suffix, rows);
        }
    }

    private void addUniform(String name, long... size) {
        addParameter(name, Init.uniform(1 / Math.sqrt(shape.hiddenSize()), size));
        names.add(name);
    }

    /** Its kind, sizes and options, for a layer like it. */
    public final RecurrentShape shape() {
        return shape;
    }

    /** The size of each element of the sequence. */
    public long inputSize() {
        return shape.inputSize();
    }

    /** The size of the state. */
    public long hiddenSize() {
        return shape.hiddenSize();
    }

    /** The options it was made with. */
    public Options options() {
        return shape.options();
    }

    /**
     * Runs one layer with whatever weights it is given.
     *
     * @param x the sequences [L, N, fed]
     * @param state each tensor [directions, N, hidden]
     * @param weights those of the layer in the order of their names in a state: of each direction
     *     both weights and, if there are any, both biases
     * @return the outputs [L, N, directions · hidden], then the last state
     */
    public final List<Tensor> runLayer(Tensor x, List<Tensor> state, List<Tensor> weights) {
        var vector = new TensorVector();
        weights.forEach(vector::push_back);
        Options one = shape.options().layers(1).dropout(0).batchFirst(false);
        return run(x, state, vector, one);
    }

    /** Runs over [L, N, size] or [N, L, size] from a state; gives the output and the last state. */
    abstract List<Tensor> run(Tensor x, List<Tensor> state, TensorVector weights, Options options);

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
        return shape.run(
                this,
                inputs,
                (x, state) -> {
                    var weights = new TensorVector();
                    names.forEach(name -> weights.push_back(value(name)));
                    return run(x, state, weights, shape.options());
                });
    }

    @Override
    protected String extraRepr() {
        return shape.toString();
    }
}
