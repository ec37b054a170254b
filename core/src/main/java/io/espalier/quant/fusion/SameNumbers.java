package io.espalier.quant.fusion;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** Whether two calls of a model gave the same, bit by bit; NaN is like NaN. */
public final class SameNumbers {
    private SameNumbers() {}

    /** Whether both have as many tensors, each of one shape and the same numbers. */
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
}
