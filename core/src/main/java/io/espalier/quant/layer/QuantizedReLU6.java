package io.espalier.quant.layer;

import io.espalier.nn.Functional;
import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

/** min(max(x, 0), 6) of integers, which keep their scale: what a {@code ReLU6} becomes. */
public final class QuantizedReLU6 extends Module {
    @Override
    public boolean isAtomic() {
        return true;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.relu6(x);
    }
}
