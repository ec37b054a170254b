package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** x · sigmoid(x), also called swish, for any shape. */
public final class SiLU extends Module {
    @Override
    protected Tensor forward(Tensor x) {
        return Functional.silu(x);
    }
}
