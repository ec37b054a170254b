package io.espalier.nn;

import io.espalier.nn.RecurrentShape.Kind;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;

/**
 * What LSTM and GRU share: layers over a sequence, each fed by the one before, with the weights
 * {@code weight_ih_l0}, {@code weight_hh_l0}, {@code bias_ih_l0}, {@code bias_hh_l0} and so on by
 * PyTorch's names.
 */
@Internal
public abstract class Recurrent extends Module implements AllAtOnce {
    private RecurrentShape shape;
    private final List<String> names;

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
        this(
                new RecurrentShape(
                        kind,
                        inputSize,
                        hiddenSize,
                        Needed.from(with, Options.DEFAULT, "the options")));
        double bound = 1 / Math.sqrt(hiddenSize);
        names.forEach(name -> addParameter(name, Init.uniform(bound, shape.sizeOf(name))));
    }

    /** A network of given tensors, of as many layers and directions as these are. */
    Recurrent(Kind kind, Map<String, Tensor> weights, UnaryOperator<Options> with) {
        this(RecurrentShape.of(kind, weights, Needed.from(with, Options.DEFAULT, "the options")));
        if (!weights.keySet().equals(Set.copyOf(names))) {
            throw new EspalierException(
                    typeName()
                            + " of "
                            + shape
                            + " takes "
                            + String.join(", ", names)
                            + "; it was given "
                            + String.join(", ", new TreeSet<>(weights.keySet()))
                            + ".");
        }
        for (String name : names) {
            Given.add(this, name, weights.get(name), shape.sizeOf(name));
        }
    }

    private Recurrent(RecurrentShape shape) {
        this.shape = shape;
        Options options = shape.options();
        Extents.requireAtLeast("input_size", shape.inputSize(), 1);
        Extents.requireAtLeast("hidden_size", shape.hiddenSize(), 1);
        Extents.requireAtLeast("num_layers", options.layers, 1);
        Dropout.requireShare(options.dropout);
        if (options.dropout > 0 && options.layers == 1) {
            throw new EspalierException(
                    "dropout acts between two layers; "
                            + typeName()
                            + " has one. Ask for more layers or no dropout.");
        }
        this.names = shape.weightNames();
    }

    /** A network like this one that takes some elements of each input only. */
    @SuppressWarnings("TypeParameterUnusedInFormals") // the caller is of this class
    final <R extends Recurrent> R narrowed(long... kept) {
        Selection.require(this, "inputs", inputSize(), kept);
        var selection = new Selection(this);
        for (String suffix : shape.suffixes(0)) {
            selection.along("weight_ih" + suffix, 1, kept);
        }
        R network = selection.apply();
        ((Recurrent) network).resize(kept.length, hiddenSize());
        return network;
    }

    /**
     * A network like this one with some units of the state only.
     *
     * @param kept one choice for all layers and directions, or one for each, as the weights' names
     *     are in order
     */
    @SuppressWarnings("TypeParameterUnusedInFormals") // the caller is of this class
    final <R extends Recurrent> R withUnits(long[]... kept) {
        List<String> suffixes = shape.suffixes();
        Needed.all(kept, "the units to keep");
        if (kept.length != 1 && kept.length != suffixes.size()) {
            throw new EspalierException(
                    typeName()
                            + " takes one choice of units, or one for each of "
                            + String.join(", ", suffixes)
                            + "; "
                            + kept.length
                            + " were given.");
        }
        var selection = new Selection(this);
        int directions = shape.directions();
        for (int i = 0; i < suffixes.size(); i++) {
            long[] units = kept[kept.length == 1 ? 0 : i];
            Selection.require(this, "units", hiddenSize(), units);
            if (units.length != kept[0].length) {
                throw new EspalierException(
                        "All layers and directions keep the same number of units; asked for "
                                + kept[0].length
                                + " and "
                                + units.length
                                + ".");
            }
            String suffix = suffixes.get(i);
            long[] rows = shape.acrossParts(shape.kind().gates(), part -> units);
            for (String name : List.of("weight_ih", "weight_hh", "bias_ih", "bias_hh")) {
                selection.with(this, name + suffix, tensor -> Selection.select(tensor, 0, rows));
            }
            selection.along("weight_hh" + suffix, 1, units);
            if (i >= directions) {
                int fed = i - i % directions - directions;
                long[] columns =
                        shape.acrossParts(
                                directions, part -> kept[kept.length == 1 ? 0 : fed + part]);
                selection.with(
                        this, "weight_ih" + suffix, tensor -> Selection.select(tensor, 1, columns));
            }
        }
        R network = selection.apply();
        ((Recurrent) network).resize(inputSize(), kept[0].length);
        return network;
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long inputs, long hidden) {
        shape = new RecurrentShape(shape.kind(), inputs, hidden, shape.options());
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

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        long[] x = inputs.getFirst();
        long positions = 1;
        for (int dim = 0; dim < x.length - 1; dim++) {
            positions *= x[dim];
        }
        long weights = 0;
        for (String name : names) {
            weights += name.startsWith("weight") ? parameter(storedName(name)).numel() : 0;
        }
        return positions * weights;
    }

    @Override
    public boolean isAtomic() {
        return computesAs(LSTM.class, GRU.class);
    }

    @Override
    protected Tensor forward(Tensor input) {
        return only(overSequence(List.of(input)));
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
        return overSequence(inputs);
    }

    private List<Tensor> overSequence(List<Tensor> inputs) {
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
