package io.espalier.onnx.tune;

import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;

import org.bytedeco.pytorch.Tensor;

/**
 * Has all numbers of a parameter be its first, which learns from what all of them do.
 *
 * @param name the parameter's public name
 */
record OneNumber(String name) implements Parametrization {
    @Override
    public Tensor apply(Module owner, Tensor value) {
        return value.narrow(0, 0, 1).expand_as(value);
    }

    /** After units and masks. */
    @Override
    public int order() {
        return 60;
    }
}
