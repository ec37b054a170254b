package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** min(max(x, 0), 6), for any shape. */
public final class ReLU6 extends Module {
    @Override
    protected Tensor forward(Tensor x) {
        return Functional.relu6(x);
    }
}
