package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.layer.Stub;

import org.bytedeco.pytorch.Tensor;

/**
 * Marks where a model's float input becomes integers. It passes its input on; {@link
 * Quantization#convert} puts a quantizing module in its place. As PyTorch's {@code QuantStub}.
 */
public final class QuantStub extends Module implements Stub {
    @Override
    public boolean quantizes() {
        return true;
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
