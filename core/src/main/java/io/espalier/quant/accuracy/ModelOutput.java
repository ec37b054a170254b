package io.espalier.quant.accuracy;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.List;

/**
 * What a model gave, to be held against what it gives after a change that should leave it the same.
 *
 * @param tensors all its outputs
 */
record ModelOutput(List<Tensor> tensors) {
    /** How far an output may move, relative to its largest value: rounding of floats. */
    private static final double TOLERANCE = 1e-3;

    /** Whether another output is the same but for rounding. */
    boolean isLike(ModelOutput other) {
        for (int i = 0; i < tensors.size(); i++) {
            if (!isLike(tensors.get(i), other.tensors.get(i))) {
                return false;
            }
        }
        return true;
    }

    private static boolean isLike(Tensor expected, Tensor actual) {
        Tensor finite = expected.isfinite(); // a mask may be −∞
        Tensor none = torch.zeros_like(expected);
        double distance = torch.where(finite, actual.sub(expected), none).abs().max().item_double();
        double largest = torch.where(finite, expected, none).abs().max().item_double();
        return distance <= TOLERANCE * largest;
    }
}
