package io.espalier.quant.layer;

import org.bytedeco.pytorch.Tensor;

/** Sizes of layers, as PyTorch prints them. */
final class Printed {
    private Printed() {}

    /** The sizes that a linear layer's weight [out, in] has. */
    static String features(Tensor weight) {
        return "in_features=" + weight.size(1) + ", out_features=" + weight.size(0);
    }
}
