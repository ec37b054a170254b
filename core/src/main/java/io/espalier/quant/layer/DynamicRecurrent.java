package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.nn.RecurrentShape;
import io.espalier.nn.RecurrentShape.Kind;
import io.espalier.quant.observer.Integers;
import io.espalier.tensor.Operators;
import io.espalier.tensor.PackedObject;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** LSTM and GRU on floats with small weights: PyTorch's dynamic LSTM and GRU. */
final class DynamicRecurrent extends DynamicLayer {
    private static final String IH = "weight_ih";
    private static final String HH = "weight_hh";

    private final RecurrentShape shape;

    private DynamicRecurrent(Storage storage, RecurrentShape shape) {
        super(storage);
        this.shape = shape;
    }

    static DynamicRecurrent of(String place, Recurrent network, Packing packing) {
        RecurrentShape shape = network.shape();
        var layer = new DynamicRecurrent(Storage.of(packing), shape);
        for (String suffix : shape.suffixes()) {
            layer.addWeight(place, IH + suffix, network.value(IH + suffix), packing);
            layer.addWeight(place, HH + suffix, network.value(HH + suffix), packing);
            if (shape.options().bias()) {
                for (String name : List.of("bias_ih" + suffix, "bias_hh" + suffix)) {
                    layer.addBuffer(name, network.value(name).detach().clone());
                }
            }
        }
        return layer;
    }

    static DynamicRecurrent read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        RecurrentShape shape = RecurrentAttributes.read(attributes);
        var layer = new DynamicRecurrent(Storage.read(attributes), shape);
        long gates = shape.kind().gates() * shape.hiddenSize();
        for (String suffix : shape.suffixes()) {
            layer.addWeight(tensors, IH + suffix, gates, shape.fed(suffix));
            layer.addWeight(tensors, HH + suffix, gates, shape.hiddenSize());
            if (shape.options().bias()) {
                for (String name : List.of("bias_ih" + suffix, "bias_hh" + suffix)) {
                    Tensor bias = QuantizedLayer.required(tensors, name);
                    IntegerWeight.requireBias(bias, gates);
                    layer.addBuffer(name, bias);
                }
            }
        }
        return layer;
    }

    @Override
    List<String> weightNames() {
        return shape.suffixes().stream()
                .flatMap(suffix -> Stream.of(IH + suffix, HH + suffix))
                .toList();
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
        return hasBuffer(name)
                ? buffer(name)
                : Tensors.zeros(shape.kind().gates() * shape.hiddenSize());
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return shape.run(this, inputs, this::run);
    }

    private List<Tensor> run(Tensor x, List<Tensor> state) {
        Recurrent.Options options = shape.options();
        boolean lstm = shape.kind() == Kind.LSTM;
        // The LSTM's kernel takes biases only, which are zeros where the network has none.
        boolean biases = lstm || options.bias();
        List<Tensor> first = state.stream().map(Tensor::detach).toList();
        @Nullable Object[] common = {
            x.detach(),
            lstm ? first : first.getFirst(),
            packed(),
            biases,
            options.layers(),
            options.dropout(),
            false,
            options.bidirectional(),
            options.batchFirst()
        };
        List<Object> results;
        if (lstm) {
            @Nullable Object[] all = Arrays.copyOf(common, common.length + 2);
            all[common.length] = Integers.type(dtype());
            all[common.length + 1] = true;
            results = Operators.find("aten::quantized_lstm", "input").call(all);
        } else {
            results = Operators.find("aten::quantized_gru", "input").call(common);
        }
        return results.stream().map(Tensor.class::cast).toList();
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Recurrent network && network.shape().equals(shape);
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = super.attributes();
        RecurrentAttributes.write(shape, attributes);
        return attributes;
    }

    @Override
    protected String typeName() {
        return "DynamicQuantized" + shape.kind();
    }

    @Override
    protected String extraRepr() {
        return shape.toString();
    }
}
