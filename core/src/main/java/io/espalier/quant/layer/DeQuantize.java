package io.espalier.quant.layer;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;

/** Turns quantized tensors into floats: what a {@code DeQuantStub} becomes. */
public final class DeQuantize extends Module implements SavedForm {
    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Stub stub ? !stub.quantizes() : layer instanceof DeQuantize;
    }

    @Override
    public Map<String, String> attributes() {
        return Map.of();
    }

    @Override
    public boolean isAtomic() {
        return true;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return x.is_quantized() ? x.dequantize() : x;
    }
}
