package io.espalier.onnx.inputs;

import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** Results that are shares of one, as a softmax gives them. */
@Internal
public final class Shares {
    /** The logarithm of less says nothing any more. */
    public static final double LEAST = 1e-7;

    private static final double ROUNDING = 1e-3;

    private Shares() {}

    /** Their logarithms, of those too small for one the least. */
    public static Tensor logarithms(Tensor shares) {
        return shares.clamp_min(new Scalar(LEAST)).log();
    }

    /** Whether each row along the last dimension sums to one, of numbers from 0 on. */
    public static boolean areRowsOf(Tensor tensor) {
        if (tensor.dim() < 2 || tensor.size(-1) < 2) {
            return false;
        }
        return tensor.min().item_double() >= 0
                && tensor.sum(-1L).sub(new Scalar(1)).abs().max().item_double() < ROUNDING;
    }
}
