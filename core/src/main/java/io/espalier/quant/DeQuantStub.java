package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.layer.Stub;

import org.bytedeco.pytorch.Tensor;

/**
 * Marks where integers become floats again. It passes its input on; {@link Quantization#convert}
 * puts a dequantizing module in its place. As PyTorch's {@code DeQuantStub}.
 */
public final class DeQuantStub extends Module implements Stub {
    @Override
    public boolean quantizes() {
        return false;
    }

    @Override
    public boolean isPure() {
        return true;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return x;
    }
}
