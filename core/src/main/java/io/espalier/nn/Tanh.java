package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** The hyperbolic tangent, for any shape. */
public final class Tanh extends Module {
    @Override
    protected Tensor forward(Tensor x) {
        return Functional.tanh(x);
    }
}
