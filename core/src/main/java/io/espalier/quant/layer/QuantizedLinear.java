package io.espalier.quant.layer;

import io.espalier.nn.LayerInputs;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.PackedObject;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;

/** {@code y = x Wᵀ + b} in 8-bit integers, then a ReLU where it was fused: [*, in] to [*, out]. */
final class QuantizedLinear extends PackedLayer {
    private final boolean relu;

    QuantizedLinear(Weight weight, boolean relu, Range output, @Nullable Range input) {
        super(weight, output, input);
        this.relu = relu;
    }

    static QuantizedLinear of(
            String place,
            Linear linear,
            boolean relu,
            Packing packing,
            Range output,
            @Nullable Range input) {
        var weight = Weight.of(place, linear.weight(), linear.bias(), packing);
        return new QuantizedLinear(weight, relu, output, input);
    }

    static QuantizedLinear read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        Weight weight = Weight.read(tensors, attributes);
        IntegerWeight.requireShape("weight", weight.integers().integers(), -1, -1);
        IntegerWeight.requireBias(weight.bias(), weight.integers().integers().size(0));
        return new QuantizedLinear(
                weight, Attributes.flag(attributes, "relu"), output(tensors), input(tensors));
    }

    @Override
    Operator operator() {
        return Operators.find(relu ? "quantized::linear_relu" : "quantized::linear", "");
    }

    @Override
    PackedObject pack(Tensor weight, @Nullable Tensor bias) {
        return Operators.find("quantized::linear_prepack", "").packed(weight, bias);
    }

    @Override
    protected Tensor forward(Tensor x) {
        LayerInputs.requireFeatures(this, x, buffer("weight").size(1));
        if (x.dim() == 1) {
            return kernel().call(quantized(x.unsqueeze(0))).squeeze(0);
        }
        Tensor y = kernel().call(quantized(x));
        return y.dim() == x.dim() ? y : unflattened(y, x);
    }

    /** oneDNN's kernel makes a matrix of an input without elements. */
    private static Tensor unflattened(Tensor y, Tensor x) {
        long[] shape = Tensors.shape(x);
        shape[shape.length - 1] = y.size(-1);
        return y.view(shape);
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Linear linear && hasShapeOf(linear.weight());
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = super.attributes();
        attributes.put("relu", Boolean.toString(relu));
        return attributes;
    }

    @Override
    protected String typeName() {
        return relu ? "QuantizedLinearReLU" : "QuantizedLinear";
    }

    @Override
    protected String extraRepr() {
        return Printed.features(buffer("weight")) + ", " + ranges() + ", qscheme=" + weightScheme();
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return multiplications(buffer("weight"), outputs.getFirst());
    }
}
