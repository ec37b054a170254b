package io.espalier.quant.fusion;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.Arrays;
import java.util.List;

/** Whether two calls of a model gave the same. */
public final class SameNumbers {
    /** Of the largest magnitude: more than rounding makes of a folded normalization. */
    private static final double ROUNDING = 1e-2;

    private SameNumbers() {}

    /**
     * Whether both have as many tensors, each of one shape and the same numbers, bit by bit; NaN is
     * like NaN.
     */
    public static boolean in(List<Tensor> some, List<Tensor> others) {
        if (some.size() != others.size()) {
            return false;
        }
        for (int i = 0; i < some.size(); i++) {
            Tensor one = some.get(i);
            Tensor other = others.get(i);
            if (!one.equal(other) && !(one.is_floating_point() && Tensors.equal(one, other))) {
                return false;
            }
        }
        return true;
    }

    /**
     * Whether both have as many tensors, each of one shape, and their floats differ by rounding
     * only; integers, which may jump with it, may be any.
     */
    static boolean nearlyIn(List<Tensor> some, List<Tensor> others) {
        if (some.size() != others.size()) {
            return false;
        }
        for (int i = 0; i < some.size(); i++) {
            Tensor one = some.get(i);
            Tensor other = others.get(i);
            if (!Arrays.equals(Tensors.shape(one), Tensors.shape(other))
                    || (one.is_floating_point() && !isNear(one, other))) {
                return false;
            }
        }
        return true;
    }

    private static boolean isNear(Tensor one, Tensor other) {
        if (one.numel() == 0) {
            return true;
        }
        double bound = ROUNDING * one.abs().nan_to_num().max().item().toDouble();
        return torch.allclose(one, other, 0, bound, true);
    }
}
