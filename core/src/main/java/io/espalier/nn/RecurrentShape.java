package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * What kind of recurrent network a layer is, whatever it computes with: floats, or integers in its
 * place.
 *
 * @param kind LSTM or GRU
 * @param inputSize the size of each element of the sequence
 * @param hiddenSize the size of the state
 * @param options layers, directions and the rest
 */
@Internal
public record RecurrentShape(
        Kind kind, long inputSize, long hiddenSize, Recurrent.Options options) {
    /** The networks that there are. */
    public enum Kind {
        /** Gates i, f, g, o; states h and c. */
        LSTM(4, 2),
        /** Gates r, z, n; state h. */
        GRU(3, 1);

        private final int gates;
        private final int states;

        Kind(int gates, int states) {
            this.gates = gates;
            this.states = states;
        }

        /** How many rows of the state's size its weights have. */
        public int gates() {
            return gates;
        }

        /** How many tensors its state has. */
        public int states() {
            return states;
        }
    }

    /** What a network computes once its inputs are known to fit. */
    @FunctionalInterface
    public interface Kernel {
        /**
         * Runs over a batch.
         *
         * @param x the sequences, [L, N, size] or [N, L, size] as the options say
         * @param state the first state, each tensor [layers · directions, N, hidden]
         * @return the outputs, then the last state
         */
        List<Tensor> run(Tensor x, List<Tensor> state);
    }

    /**
     * The shape of a network whose weights these are; the options' layers, directions and bias are
     * taken from them.
     *
     * @throws EspalierException if there is no first layer among them
     */
    static RecurrentShape of(Kind kind, Map<String, Tensor> weights, Recurrent.Options options) {
        Tensor input = Needed.of(weights, "the weights").get("weight_ih_l0");
        Tensor state = weights.get("weight_hh_l0");
        if (input == null || state == null || input.dim() != 2 || state.dim() != 2) {
            throw new EspalierException(
                    "The weights of a network begin with weight_ih_l0 and weight_hh_l0, of two"
                            + " dimensions; given were "
                            + String.join(", ", new TreeSet<>(weights.keySet()))
                            + ".");
        }
        long layers = 1;
        while (weights.containsKey("weight_ih_l" + layers)) {
            layers++;
        }
        return new RecurrentShape(
                kind,
                input.size(1),
                state.size(1),
                options.layers(layers)
                        .bias(weights.containsKey("bias_ih_l0"))
                        .bidirectional(weights.containsKey("weight_ih_l0_reverse")));
    }

    /** The weights' names in their order. */
    List<String> weightNames() {
        List<String> tensors =
                options.bias()
                        ? List.of("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                        : List.of("weight_ih", "weight_hh");
        return suffixes().stream()
                .flatMap(suffix -> tensors.stream().map(name -> name + suffix))
                .toList();
    }

    /** The shape of one of the weights. */
    long[] sizeOf(String name) {
        long rows = kind.gates() * hiddenSize;
        if (name.startsWith("bias")) {
            return new long[] {rows};
        }
        boolean fedByLayer =
                name.startsWith("weight_ih") && !suffixes(0).contains(name.substring(9));
        return new long[] {
            rows,
            name.startsWith("weight_hh")
                    ? hiddenSize
                    : fedByLayer ? hiddenSize * directions() : inputSize
        };
    }

    /** The indices of units in a dimension that has all units several times. */
    long[] acrossParts(int parts, IntFunction<long[]> units) {
        return IntStream.range(0, parts)
                .boxed()
                .flatMapToLong(part ->
                        Arrays.stream(units.apply(part)).map(unit -> part * hiddenSize + unit))
                .toArray();
    }

    /** One direction, or two. */
    public int directions() {
        return options.bidirectional() ? 2 : 1;
    }

    /**
     * The size of what the layer of weights with an ending is fed: the sequence's elements, or the
     * outputs of the layer below.
     */
    public long fed(String suffix) {
        return suffix.startsWith("_l0") ? inputSize : directions() * hiddenSize;
    }

    /** The endings of the weights' names: those of each layer, forward then reverse. */
    public List<String> suffixes() {
        List<String> all = new ArrayList<>();
        for (long layer = 0; layer < options.layers(); layer++) {
            all.addAll(suffixes(layer));
        }
        return all;
    }

    /** The endings of one layer's names. */
    public List<String> suffixes(long layer) {
        String forward = "_l" + layer;
        return options.bidirectional() ? List.of(forward, forward + "_reverse") : List.of(forward);
    }

    /**
     * Runs a network of this shape over its inputs: a sequence [L, N, size] ([N, L, size] with
     * {@code batchFirst}, [L, size] without a batch) and, as an option, the first state; without it
     * zeros.
     *
     * @param layer whose inputs they are, for the errors
     * @return the last layer's outputs, then the last state, without a batch if there was none
     * @throws EspalierException if a tensor is missing, too many, or of another shape
     */
    public List<Tensor> run(Module layer, List<Tensor> inputs, Kernel kernel) {
        if (inputs.size() != 1 && inputs.size() != 1 + kind.states) {
            throw new EspalierException(
                    layer.typeName()
                            + " takes a sequence, or a sequence and "
                            + (kind.states == 1 ? "a state" : "the states h and c")
                            + "; it was called with "
                            + inputs.size()
                            + " tensors.");
        }
        Tensor x = inputs.getFirst();
        if ((x.dim() != 2 && x.dim() != 3) || x.size(-1) != inputSize) {
            throw layer.wrongInput(
                    x, "2 or 3 dimensions are needed, the last of size " + inputSize + ".");
        }
        if (x.dim() == 3) {
            return runBatch(layer, x, inputs.subList(1, inputs.size()), kernel);
        }
        int batchDim = options.batchFirst() ? 0 : 1;
        List<Tensor> state = inputs.stream().skip(1).map(tensor -> tensor.unsqueeze(1)).toList();
        List<Tensor> outputs = new ArrayList<>();
        for (Tensor output : runBatch(layer, x.unsqueeze(batchDim), state, kernel)) {
            outputs.add(output.squeeze(outputs.isEmpty() ? batchDim : 1));
        }
        return outputs;
    }

    private List<Tensor> runBatch(Module layer, Tensor x, List<Tensor> given, Kernel kernel) {
        long[] shape = {
            options.layers() * directions(), x.size(options.batchFirst() ? 0 : 1), hiddenSize
        };
        List<Tensor> state = new ArrayList<>(given);
        for (Tensor tensor : given) {
            if (!Arrays.equals(Tensors.shape(tensor), shape)) {
                throw layer.wrongInput(
                        x,
                        "the state must be "
                                + Arrays.toString(shape)
                                + "; it is "
                                + Arrays.toString(Tensors.shape(tensor))
                                + ".");
            }
        }
        while (state.size() < kind.states) {
            state.add(x.is_quantized() ? Tensors.zeros(shape) : torch.zeros(shape, x.options()));
        }
        return kernel.run(x, state);
    }

    /** As a layer of this shape is printed between the parentheses. */
    @Override
    public String toString() {
        return inputSize
                + ", "
                + hiddenSize
                + (options.layers() == 1 ? "" : ", num_layers=" + options.layers())
                + (options.bias() ? "" : ", bias=False")
                + (options.batchFirst() ? ", batch_first=True" : "")
                + (options.dropout() == 0 ? "" : ", dropout=" + Repr.of(options.dropout()))
                + (options.bidirectional() ? ", bidirectional=True" : "");
    }
}
