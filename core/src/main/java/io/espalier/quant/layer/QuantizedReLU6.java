package io.espalier.quant.layer;

import io.espalier.nn.Functional;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU6;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;

/** min(max(x, 0), 6) of integers, which keep their scale: what a {@code ReLU6} becomes. */
public final class QuantizedReLU6 extends Module implements SavedForm {
    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof ReLU6;
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
        return Functional.relu6(x);
    }
}
