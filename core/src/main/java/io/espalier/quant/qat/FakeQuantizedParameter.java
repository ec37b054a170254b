package io.espalier.quant.qat;

import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;
import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

/**
 * Lets a parameter pass through the fake quantization that its module holds as the child {@code
 * NAME_fake_quant}. It comes after a mask: what the mask makes zero stays exactly zero, since zero
 * is always one of the integers.
 *
 * @param name the parameter's public name, such as {@code "weight"}
 */
@Internal
public record FakeQuantizedParameter(String name) implements Parametrization {
    /** That of a layer's weight. */
    public static final FakeQuantizedParameter WEIGHT = new FakeQuantizedParameter("weight");

    /** The name of the child that holds the fake quantization. */
    public String child() {
        return name + "_fake_quant";
    }

    @Override
    public Tensor apply(Module owner, Tensor value) {
        return owner.module(child()).call(value);
    }

    @Override
    public int order() {
        return 100;
    }
}
