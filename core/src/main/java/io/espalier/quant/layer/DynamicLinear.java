package io.espalier.quant.layer;

import io.espalier.nn.LayerInputs;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Operators;
import io.espalier.tensor.PackedObject;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** {@code y = x Wᵀ + b} on floats [*, in] with a small weight: PyTorch's dynamic Linear. */
final class DynamicLinear extends DynamicLayer {
    private DynamicLinear(Storage storage, @Nullable Tensor bias) {
        super(storage);
        if (bias != null) {
            addBuffer("bias", bias);
        }
    }

    static DynamicLinear of(String place, Linear linear, Packing packing) {
        Tensor bias = linear.bias();
        var layer =
                new DynamicLinear(Storage.of(packing), bias == null ? null : bias.detach().clone());
        layer.addWeight(place, "weight", linear.weight(), packing);
        return layer;
    }

    static DynamicLinear read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        var layer = new DynamicLinear(Storage.read(attributes), tensors.get("bias"));
        layer.addWeight(tensors, "weight", -1, -1);
        IntegerWeight.requireBias(tensors.get("bias"), layer.buffer("weight").size(0));
        return layer;
    }

    @Override
    List<String> weightNames() {
        return List.of("weight");
    }

    @Override
    List<PackedObject> pack() {
        String operator =
                isFloat16() ? "quantized::linear_prepack_fp16" : "quantized::linear_prepack";
        return List.of(
                Operators.find(operator, "")
                        .packed(forPacking("weight"), hasBuffer("bias") ? buffer("bias") : null));
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Linear linear
                && Arrays.equals(Tensors.shape(linear.weight()), Tensors.shape(buffer("weight")));
    }

    @Override
    protected Tensor forward(Tensor x) {
        LayerInputs.requireFeatures(this, x, buffer("weight").size(1));
        if (x.dim() == 1) {
            return forward(x.unsqueeze(0)).squeeze(0);
        }
        Tensor input = x.detach();
        // One bit less of the input's range, as PyTorch: fbgemm's accumulators can't overflow then.
        return isFloat16()
                ? Operators.call("quantized::linear_dynamic_fp16", "", input, packed().getFirst())
                : Operators.call("quantized::linear_dynamic", "", input, packed().getFirst(), true);
    }

    @Override
    protected String typeName() {
        return "DynamicQuantizedLinear";
    }

    @Override
    protected String extraRepr() {
        return Printed.features(buffer("weight"))
                + ", dtype="
                + dtype()
                + (isFloat16() ? "" : ", qscheme=" + weightScheme());
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return multiplications(buffer("weight"), outputs.getFirst());
    }
}
