package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;

/** Turns floats into 8-bit integers with a fixed scale: what a {@code QuantStub} becomes. */
public final class Quantize extends QuantizedLayer {
    /** With the range of what it is given. */
    public Quantize(Range output) {
        super(output, null);
    }

    @Override
    protected Tensor forward(Tensor x) {
        return x.is_quantized() ? x : quantize(x, scale(), zeroPoint());
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Stub stub ? stub.quantizes() : layer instanceof Quantize;
    }

    @Override
    public Map<String, String> attributes() {
        return Map.of();
    }

    /** Integers are handed on as they are. */
    @Override
    public boolean givesNewMemory() {
        return false;
    }

    @Override
    protected String extraRepr() {
        return "scale="
                + Tensors.toString(buffer("scale"))
                + ", zero_point="
                + Tensors.toString(buffer("zero_point"))
                + ", dtype=torch.quint8";
    }
}
