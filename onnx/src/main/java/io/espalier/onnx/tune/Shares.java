package io.espalier.onnx.tune;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** Results that are shares of one, as a softmax gives them. */
final class Shares {
    /** The logarithm of less says nothing any more. */
    static final double LEAST = 1e-7;

    private static final double ROUNDING = 1e-3;

    private Shares() {}

    /** Whether each row along the last dimension sums to one, of numbers from 0 on. */
    static boolean areRowsOf(Tensor tensor) {
        if (tensor.dim() < 2 || tensor.size(-1) < 2) {
            return false;
        }
        return tensor.min().item_double() >= 0
                && tensor.sum(-1L).sub(new Scalar(1)).abs().max().item_double() < ROUNDING;
    }
}
