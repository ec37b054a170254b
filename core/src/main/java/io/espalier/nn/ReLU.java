package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** max(x, 0), for any shape. */
public final class ReLU extends Module {
    @Override
    protected Tensor forward(Tensor x) {
        return Functional.relu(x);
    }
}
