package io.espalier.quant;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

/** Turns quantized tensors into floats: what a {@link DeQuantStub} becomes. */
final class DeQuantize extends Module {
    @Override
    protected Tensor forward(Tensor x) {
        return x.is_quantized() ? x.dequantize() : x;
    }
}
