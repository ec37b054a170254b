package io.espalier.quant.layer;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

/** Turns quantized tensors into floats: what a {@code DeQuantStub} becomes. */
public final class DeQuantize extends Module {
    @Override
    public boolean isAtomic() {
        return true;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return x.is_quantized() ? x.dequantize() : x;
    }
}
