package io.espalier.quant;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

/**
 * Marks where integers become floats again. It passes its input on; {@link Quantization#convert}
 * puts a dequantizing module in its place. As PyTorch's {@code DeQuantStub}.
 */
public final class DeQuantStub extends Module {
    @Override
    public boolean isPure() {
        return true;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return x;
    }
}
