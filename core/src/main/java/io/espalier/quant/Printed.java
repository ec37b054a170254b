package io.espalier.quant;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/** Small tensors as PyTorch prints them. */
final class Printed {
    private Printed() {}

    /** The values, without a word on gradients. */
    static String tensor(Tensor tensor) {
        return Tensors.toString(tensor.detach());
    }
}
