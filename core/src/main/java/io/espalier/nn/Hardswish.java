package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** x · min(max(x + 3, 0), 6) / 6, for any shape. */
public final class Hardswish extends Module {
    @Override
    protected Tensor forward(Tensor x) {
        return Functional.hardswish(x);
    }
}
