package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;
import io.espalier.quant.observer.QuantizationParameters;

import org.bytedeco.pytorch.Tensor;

/**
 * Lets a layer compute in floats with the weight that its integers stand for. It comes after a
 * mask.
 *
 * @param parameters how the integers stand for numbers
 */
record RoundedWeight(QuantizationParameters parameters) implements Parametrization {
    @Override
    public Tensor apply(Module owner, Tensor value) {
        return IntegerWeight.of(owner.getClass().getSimpleName(), value, parameters).floats();
    }

    @Override
    public int order() {
        return 100;
    }
}
