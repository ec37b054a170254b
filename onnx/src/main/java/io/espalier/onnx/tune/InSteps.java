package io.espalier.onnx.tune;

import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;

import org.bytedeco.pytorch.Tensor;

/**
 * Has a parameter in units of about the integers that stand for it: of channels whose weights
 * differ a thousandfold, each then moves by as many integers. Units are powers of two, so that no
 * number changes by being in them.
 *
 * @param name the parameter's public name
 */
record InSteps(String name) implements Parametrization {
    /** The power of two below a positive number; 1 for 0. */
    static float near(float step) {
        return step == 0 ? 1 : Math.scalb(1f, Math.getExponent(step));
    }

    /** The name of the buffer that has the units. */
    String buffer() {
        return name + "_step";
    }

    @Override
    public Tensor apply(Module owner, Tensor value) {
        return value.mul(owner.buffer(buffer()));
    }

    /** After a mask, before the rounding. */
    @Override
    public int order() {
        return 50;
    }
}
