package io.espalier.quant;

import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Recurrent;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operators;
import io.espalier.tensor.PackedObject;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** LSTM and GRU on floats with small weights: PyTorch's dynamic LSTM and GRU. */
final class DynamicRecurrent extends DynamicLayer {
    private static final String IH = "weight_ih";
    private static final String HH = "weight_hh";

    private final Shape shape;

    /**
     * What kind of network it is.
     *
     * @param lstm an LSTM, otherwise a GRU
     * @param inputSize the size of each element of the sequence
     * @param hiddenSize the size of the state
     * @param options layers, directions and the rest
     */
    private record Shape(boolean lstm, long inputSize, long hiddenSize, Recurrent.Options options) {
        /** The endings of the weights' names, in the kernel's order. */
        List<String> suffixes() {
            List<String> all = new ArrayList<>();
            for (long layer = 0; layer < options.layers(); layer++) {
                all.add("_l" + layer);
                if (options.bidirectional()) {
                    all.add("_l" + layer + "_reverse");
                }
            }
            return all;
        }
    }

    private DynamicRecurrent(Storage storage, Shape shape) {
        super(storage);
        this.shape = shape;
    }

    static DynamicRecurrent of(String place, Recurrent network, QConfig qconfig) {
        if (!(network instanceof LSTM) && !(network instanceof GRU)) {
            throw new EspalierException(
                    "No dynamic kernel for the "
                            + network.getClass().getSimpleName()
                            + " at '"
                            + place
                            + "'; there are LSTM and GRU.");
        }
        var shape =
                new Shape(
                        network instanceof LSTM,
                        network.inputSize(),
                        network.hiddenSize(),
                        network.options());
        var layer = new DynamicRecurrent(Storage.of(qconfig), shape);
        for (String suffix : shape.suffixes()) {
            layer.addWeight(place, IH + suffix, network.value(IH + suffix), qconfig);
            layer.addWeight(place, HH + suffix, network.value(HH + suffix), qconfig);
            if (shape.options().bias()) {
                for (String name : List.of("bias_ih" + suffix, "bias_hh" + suffix)) {
                    layer.addBuffer(name, network.value(name).detach().clone());
                }
            }
        }
        return layer;
    }

    static DynamicRecurrent read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        var options =
                new Recurrent.Options(
                        number(attributes, "layers"),
                        Boolean.parseBoolean(attributes.get("bias")),
                        Boolean.parseBoolean(attributes.get("batch_first")),
                        Double.parseDouble(attributes.getOrDefault("dropout", "0")),
                        Boolean.parseBoolean(attributes.get("bidirectional")));
        var shape =
                new Shape(
                        Boolean.parseBoolean(attributes.get("lstm")),
                        number(attributes, "input_size"),
                        number(attributes, "hidden_size"),
                        options);
        var layer = new DynamicRecurrent(Storage.read(attributes), shape);
        for (String suffix : shape.suffixes()) {
            layer.addWeight(tensors, IH + suffix);
            layer.addWeight(tensors, HH + suffix);
            if (options.bias()) {
                for (String name : List.of("bias_ih" + suffix, "bias_hh" + suffix)) {
                    layer.addBuffer(name, QuantizedLayer.required(tensors, name));
                }
            }
        }
        return layer;
    }

    private static long number(Map<String, String> attributes, String name) {
        return Long.parseLong(attributes.getOrDefault(name, "1"));
    }

    @Override
    List<PackedObject> pack() {
        return shape.suffixes().stream().map(this::cell).toList();
    }

    private PackedObject cell(String suffix) {
        Tensor inputBias = bias("bias_ih" + suffix);
        Tensor stateBias = bias("bias_hh" + suffix);
        if (isFloat16()) {
            var prepack = Operators.find("quantized::linear_prepack_fp16", "");
            return Operators.find("quantized::make_quantized_cell_params_fp16", "")
                    .packed(
                            prepack.packed(forPacking(IH + suffix), inputBias),
                            prepack.packed(forPacking(HH + suffix), stateBias));
        }
        var prepack = Operators.find("quantized::linear_prepack", "");
        return Operators.find("quantized::make_quantized_cell_params_dynamic", "")
                .packed(
                        prepack.packed(forPacking(IH + suffix), inputBias),
                        prepack.packed(forPacking(HH + suffix), stateBias),
                        inputBias,
                        stateBias,
                        true);
    }

    private Tensor bias(String name) {
        return hasBuffer(name) ? buffer(name) : Tensors.zeros(gates() * shape.hiddenSize());
    }

    private long gates() {
        return shape.lstm() ? 4 : 3;
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        int states = shape.lstm() ? 2 : 1;
        if (inputs.size() != 1 && inputs.size() != 1 + states) {
            throw new EspalierException(
                    typeName()
                            + " takes a sequence, or a sequence and its first state; it was called"
                            + " with "
                            + inputs.size()
                            + " tensors.");
        }
        Tensor x = inputs.getFirst();
        if (x.dim() != 3 || x.size(-1) != shape.inputSize()) {
            throw wrongInput(
                    x, "3 dimensions are needed, the last of size " + shape.inputSize() + ".");
        }
        long[] needed = {
            shape.options().layers() * (shape.options().bidirectional() ? 2 : 1),
            x.size(shape.options().batchFirst() ? 0 : 1),
            shape.hiddenSize()
        };
        List<Tensor> state = new ArrayList<>();
        for (int i = 0; i < states; i++) {
            Tensor given = inputs.size() > 1 ? inputs.get(1 + i) : Tensors.zeros(needed);
            if (!Arrays.equals(Tensors.shape(given), needed)) {
                throw wrongInput(
                        x,
                        "the state must be "
                                + Arrays.toString(needed)
                                + "; it is "
                                + Arrays.toString(Tensors.shape(given))
                                + ".");
            }
            state.add(given.detach());
        }
        return run(x.detach(), state);
    }

    private List<Tensor> run(Tensor x, List<Tensor> state) {
        Recurrent.Options options = shape.options();
        @Nullable Object[] common = {
            x,
            shape.lstm() ? state : state.getFirst(),
            packed(),
            options.bias(),
            options.layers(),
            options.dropout(),
            false,
            options.bidirectional(),
            options.batchFirst()
        };
        List<Object> results;
        if (shape.lstm()) {
            @Nullable Object[] all = Arrays.copyOf(common, common.length + 2);
            all[common.length] = dtype().scalarType();
            all[common.length + 1] = true;
            results = Operators.find("aten::quantized_lstm", "input").call(all);
        } else {
            results = Operators.find("aten::quantized_gru", "input").call(common);
        }
        return results.stream().map(Tensor.class::cast).toList();
    }

    @Override
    Map<String, String> attributes() {
        Recurrent.Options options = shape.options();
        Map<String, String> attributes = super.attributes();
        attributes.put("lstm", Boolean.toString(shape.lstm()));
        attributes.put("input_size", Long.toString(shape.inputSize()));
        attributes.put("hidden_size", Long.toString(shape.hiddenSize()));
        attributes.put("layers", Long.toString(options.layers()));
        attributes.put("bias", Boolean.toString(options.bias()));
        attributes.put("batch_first", Boolean.toString(options.batchFirst()));
        attributes.put("dropout", Double.toString(options.dropout()));
        attributes.put("bidirectional", Boolean.toString(options.bidirectional()));
        return attributes;
    }

    @Override
    protected String typeName() {
        return shape.lstm() ? "DynamicQuantizedLSTM" : "DynamicQuantizedGRU";
    }

    @Override
    protected String extraRepr() {
        Recurrent.Options options = shape.options();
        return shape.inputSize()
                + ", "
                + shape.hiddenSize()
                + (options.layers() == 1 ? "" : ", num_layers=" + options.layers())
                + (options.bias() ? "" : ", bias=False")
                + (options.batchFirst() ? ", batch_first=True" : "")
                + (options.dropout() == 0
                        ? ""
                        : ", dropout=" + io.espalier.nn.Repr.of(options.dropout()))
                + (options.bidirectional() ? ", bidirectional=True" : "");
    }
}
