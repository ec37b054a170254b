package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** 1 / (1 + exp(−x)), for any shape. */
public final class Sigmoid extends Module {
    @Override
    protected Tensor forward(Tensor x) {
        return Functional.sigmoid(x);
    }
}
