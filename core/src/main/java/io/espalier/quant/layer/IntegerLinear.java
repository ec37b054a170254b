package io.espalier.quant.layer;

import io.espalier.nn.LayerInputs;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;

/** A linear layer on plain integers, [*, in] to [*, out]. */
final class IntegerLinear extends IntegerLayer {
    IntegerLinear(IntegerParts parts) {
        super(parts);
    }

    static IntegerLinear read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        IntegerParts parts = IntegerParts.read(tensors, attributes);
        Tensor weight = parts.integers().integers();
        IntegerWeight.requireShape("weight", weight, -1, -1);
        IntegerWeight.requireBias(parts.bias(), weight.size(0));
        return new IntegerLinear(parts);
    }

    @Override
    Tensor pack(Tensor weight, Tensor scales, Range input, long[] inputShape) {
        return Operators.call("onednn::qlinear_prepack", "", weight, null);
    }

    @Override
    void requireFits(Tensor x) {
        LayerInputs.requireFeatures(this, x, buffer("weight").size(1));
    }

    @Override
    Tensor arranged(Tensor x) {
        return x.contiguous();
    }

    @Override
    long[] outputShape(Tensor x) {
        long[] shape = Tensors.shape(x);
        shape[shape.length - 1] = buffer("weight").size(0);
        return shape;
    }

    @Override
    String operator() {
        return "onednn::qlinear_pointwise";
    }

    @Override
    List<Object> geometryArguments() {
        return List.of();
    }

    @Override
    protected String typeName() {
        return named("Linear", "");
    }

    @Override
    protected String extraRepr() {
        Tensor weight = buffer("weight");
        return "in_features="
                + weight.size(1)
                + ", out_features="
                + weight.size(0)
                + ", "
                + outputRange()
                + (bias() == null ? ", bias=False" : "");
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return multiplications(buffer("weight"), outputs.getFirst());
    }
}
