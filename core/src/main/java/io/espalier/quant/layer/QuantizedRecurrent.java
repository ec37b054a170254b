package io.espalier.quant.layer;

import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.nn.RecurrentShape;
import io.espalier.nn.RecurrentShape.Kind;
import io.espalier.quant.observer.Observer;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * LSTM and GRU with 8-bit weights, inputs and hidden states, whose ranges calibration found. The
 * products, where all the work is, are integers'; the gates and the cell between them are floats,
 * since what they round is carried on from element to element. (PyTorch's {@code quantized.LSTM}
 * rounds after each gate, sum and product.)
 *
 * <p>Inputs and outputs are those of the float network: the sequence of outputs is quantized, the
 * last state is floats.
 */
final class QuantizedRecurrent extends QuantizedLayer implements IntegerWeighted {
    private static final String INPUT_GATES = "ih";
    private static final String STATE_GATES = "hh";
    private static final String HIDDEN = "hidden_l";
    private static final String SCALE = "_scale";
    private static final String ZERO_POINT = "_zero_point";

    private final RecurrentShape shape;
    private final Engine engine;
    private final int channelAxis;
    private final List<Direction> directions;
    private List<Range> hidden = List.of();

    /** The two products of one direction of one layer. */
    private record Direction(GateLinear input, GateLinear state) {}

    /**
     * A network.
     *
     * @param products by name, such as {@code ih_l0}
     * @param hidden the ranges of the layers' outputs but the last
     */
    private QuantizedRecurrent(
            RecurrentShape shape,
            Engine engine,
            int channelAxis,
            Map<String, GateLinear> products,
            List<Range> hidden,
            Range output,
            @Nullable Range input) {
        super(output, input);
        this.shape = shape;
        this.engine = engine;
        this.channelAxis = channelAxis;
        products.forEach(this::add);
        this.directions =
                shape.suffixes().stream()
                        .map(suffix ->
                                new Direction(
                                        (GateLinear) module(INPUT_GATES + suffix),
                                        (GateLinear) module(STATE_GATES + suffix)))
                        .toList();
        for (int layer = 0; layer < hidden.size(); layer++) {
            hidden.get(layer).addTo(this, hiddenName(layer, SCALE), hiddenName(layer, ZERO_POINT));
        }
        readHidden();
    }

    private static String hiddenName(int layer, String what) {
        return HIDDEN + layer + what;
    }

    static QuantizedRecurrent of(
            String path,
            ObservedRecurrent observed,
            Packing packing,
            Range output,
            @Nullable Range input) {
        RecurrentShape shape = observed.shape();
        Map<String, GateLinear> products = new LinkedHashMap<>();
        int axis = -1;
        for (String suffix : shape.suffixes()) {
            for (String kind : List.of(INPUT_GATES, STATE_GATES)) {
                String ending = kind + suffix;
                IntegerWeight weight =
                        IntegerWeight.of(
                                path + ".weight_" + ending,
                                observed.unrounded("weight_" + ending),
                                new Packing(
                                        observed.weightFactory("weight_" + ending, packing),
                                        packing.engine()));
                axis = weight.parameters().channelAxis();
                products.put(
                        ending,
                        new GateLinear(
                                weight,
                                observed.hasParameter("bias_" + ending)
                                        ? observed.value("bias_" + ending).detach().clone()
                                        : null,
                                packing.engine(),
                                observed.observesGates()
                                        ? range(path, observed.gatesObserver(ending))
                                        : null));
            }
        }
        List<Range> hidden = new ArrayList<>();
        for (long layer = 0; layer < shape.options().layers() - 1; layer++) {
            hidden.add(range(path, observed.hiddenObserver(layer)));
        }
        var quantized =
                new QuantizedRecurrent(
                        shape, packing.engine(), axis, products, hidden, output, input);
        quantized.directions.forEach(direction -> {
            direction.input.packed();
            direction.state.packed();
        });
        return quantized;
    }

    private static Range range(String path, Observer observer) {
        return Range.of(path, observer.quantizationParameters());
    }

    static QuantizedRecurrent read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        RecurrentShape shape = RecurrentAttributes.read(attributes);
        Engine engine = Attributes.engine(attributes);
        int axis = Attributes.channelAxis(attributes);
        Map<String, GateLinear> products = new LinkedHashMap<>();
        long gates = shape.kind().gates() * shape.hiddenSize();
        for (String suffix : shape.suffixes()) {
            for (String kind : List.of(INPUT_GATES, STATE_GATES)) {
                long fed = kind.equals(INPUT_GATES) ? shape.fed(suffix) : shape.hiddenSize();
                products.put(
                        kind + suffix,
                        GateLinear.read(
                                SavedLayers.below(tensors, kind + suffix),
                                axis,
                                engine,
                                gates,
                                fed));
            }
        }
        return new QuantizedRecurrent(
                shape,
                engine,
                axis,
                products,
                hidden(tensors, shape),
                output(tensors),
                input(tensors));
    }

    /** The ranges of the layers' outputs but the last. */
    private static List<Range> hidden(Map<String, Tensor> tensors, RecurrentShape shape) {
        List<Range> ranges = new ArrayList<>();
        for (int layer = 0; layer < shape.options().layers() - 1; layer++) {
            ranges.add(
                    Range.read(tensors, hiddenName(layer, SCALE), hiddenName(layer, ZERO_POINT)));
        }
        return ranges;
    }

    @Override
    public Map<String, Tensor> floatWeights() {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        for (String suffix : shape.suffixes()) {
            for (String kind : List.of(INPUT_GATES, STATE_GATES)) {
                GateLinear product = (GateLinear) module(kind + suffix);
                weights.put("weight_" + kind + suffix, product.weight().floats());
            }
        }
        return weights;
    }

    private void readHidden() {
        List<Range> ranges = hidden(ownBuffers(), shape);
        ranges.add(output(ownBuffers()));
        hidden = List.copyOf(ranges);
    }

    @Override
    protected void stateLoaded() {
        super.stateLoaded();
        readHidden();
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return shape.run(this, inputs, this::run);
    }

    private List<Tensor> run(Tensor x, List<Tensor> state) {
        if (x.numel() == 0) {
            throw wrongInput(x, "sequences of at least one element are needed.");
        }
        try (var noGrad = new NoGradGuard()) {
            boolean batchFirst = shape.options().batchFirst();
            Range range = inputRange(x);
            Tensor floats = QFunctional.inFloat(x).detach();
            Tensor fed = (batchFirst ? floats.transpose(0, 1) : floats).contiguous();
            List<Tensor> last =
                    state.stream().map(s -> QFunctional.inFloat(s).detach().clone()).toList();
            for (int layer = 0; layer < hidden.size(); layer++) {
                fed = layer(layer, fed, range, last);
                range = hidden.get(layer);
            }
            List<Tensor> outputs = new ArrayList<>();
            outputs.add(quantize(batchFirst ? fed.transpose(0, 1) : fed, scale(), zeroPoint()));
            outputs.addAll(last);
            return outputs;
        }
    }

    /** Runs one layer over [L, N, fed]; {@code last} becomes its last state. */
    private Tensor layer(int layer, Tensor fed, Range range, List<Tensor> last) {
        List<Tensor> outputs = new ArrayList<>();
        for (int d = 0; d < shape.directions(); d++) {
            int at = layer * shape.directions() + d;
            List<Tensor> state = last.stream().map(s -> s.select(0, at)).toList();
            Tensor gates = directions.get(at).input.product(fed, range);
            outputs.add(
                    sequence(directions.get(at).state, gates, hidden.get(layer), state, d == 1));
        }
        return outputs.size() == 1
                ? outputs.getFirst()
                : torch.cat(new TensorVector(outputs.toArray(Tensor[]::new)), 2);
    }

    /** Runs one direction over the gates [L, N, gates · hidden] of its inputs. */
    private Tensor sequence(
            GateLinear product, Tensor gates, Range hidden, List<Tensor> state, boolean backwards) {
        Tensor first = state.getFirst();
        Tensor outputs = Tensors.zeros(gates.size(0), first.size(0), first.size(1));
        TensorVector fromInputs = gates.unbind(0);
        TensorVector hiddens = outputs.unbind(0);
        RecurrentCell cell =
                shape.kind() == Kind.LSTM
                        ? new RecurrentCell.Lstm(fromInputs.get(0), state.getLast())
                        : new RecurrentCell.Gru(fromInputs.get(0));
        try {
            Tensor h = first;
            for (long step = 0; step < hiddens.size(); step++) {
                long t = backwards ? hiddens.size() - 1 - step : step;
                Tensor next = hiddens.get(t);
                try (var scope = new PointerScope()) {
                    cell.step(fromInputs.get(t), product.product(h, hidden), h, next);
                }
                h = next;
            }
            first.copy_(h);
        } finally { // what a vector gives are views into it
            Reference.reachabilityFence(fromInputs);
            Reference.reachabilityFence(hiddens);
        }
        return outputs;
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Recurrent network && network.shape().equals(shape);
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = PackedLayer.attributes(engine, channelAxis);
        RecurrentAttributes.write(shape, attributes);
        return attributes;
    }

    @Override
    protected String typeName() {
        return "Quantized" + shape.kind();
    }

    @Override
    protected String extraRepr() {
        return shape + ", " + ranges();
    }
}
