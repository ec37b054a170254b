package io.espalier.quant;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/** Tensors, and their sizes, as PyTorch prints them. */
final class Printed {
    private Printed() {}

    /** The sizes that a linear layer's weight [out, in] has. */
    static String features(Tensor weight) {
        return "in_features=" + weight.size(1) + ", out_features=" + weight.size(0);
    }

    /** The values, without a word on gradients. */
    static String tensor(Tensor tensor) {
        return Tensors.toString(tensor.detach());
    }
}
