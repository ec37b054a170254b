package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** min(max(x + 3, 0), 6) / 6, for any shape. */
public final class Hardsigmoid extends Module {
    @Override
    protected Tensor forward(Tensor x) {
        return Functional.hardsigmoid(x);
    }
}
