package io.espalier.graph;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;

/** Inputs like an example, by which it is seen whether a model goes the same way with them. */
@Internal
public final class OtherInputs {
    /** Beyond sign and order, so that numbers leave the range that the example's have. */
    private static final double FACTOR = -1.3;

    /** For code that goes another way with large numbers. */
    private static final double LARGE = 1e3;

    private OtherInputs() {}

    /**
     * The same shapes with other numbers: floats in reverse order, negated and larger; integers
     * mirrored within their range, so that indices stay indices. Infinities stay where they are.
     */
    static List<Tensor> otherValues(List<Tensor> example) {
        return example.stream().map(OtherInputs::otherValues).toList();
    }

    /**
     * Several inputs of the same shapes: those of {@link #otherValues}, and large ones of either
     * sign.
     */
    public static List<List<Tensor>> several(List<Tensor> example) {
        return List.of(otherValues(example), scaled(example, -LARGE), scaled(example, LARGE));
    }

    private static List<Tensor> scaled(List<Tensor> example, double factor) {
        return example.stream()
                .map(x ->
                        x.defined() && !x.is_quantized() && x.is_floating_point()
                                ? torch.where(x.isfinite(), x.mul(new Scalar(factor)), x)
                                : x)
                .toList();
    }

    private static Tensor otherValues(Tensor x) {
        if (!x.defined() || x.is_quantized() || x.numel() == 0) {
            return x;
        }
        long[] dims = LongStream.range(0, x.dim()).toArray();
        if (Tensors.type(x) == ScalarType.Bool) {
            return x.flip(dims);
        }
        if (!x.is_floating_point()) {
            return x.min().add(x.max()).sub(x.flip(dims)).to(Tensors.type(x));
        }
        if (!x.isfinite().all().item_bool()) {
            return torch.where(x.isfinite(), x.mul(new Scalar(FACTOR)), x);
        }
        if (x.abs().max().item_double() == 0) {
            return torch.arange(new Scalar(x.numel()))
                    .sin()
                    .reshape(Tensors.shape(x))
                    .to(Tensors.type(x));
        }
        return x.flip(dims).mul(new Scalar(FACTOR));
    }

    /**
     * Whether results agree up to rounding: to 1e-4 of the largest number, and NaN and infinities
     * at the same places.
     */
    static boolean areClose(List<Tensor> expected, List<Tensor> given) {
        if (expected.size() != given.size()) {
            return false;
        }
        for (int i = 0; i < expected.size(); i++) {
            if (!areClose(expected.get(i), given.get(i))) {
                return false;
            }
        }
        return true;
    }

    private static boolean areClose(Tensor expected, Tensor given) {
        if (!Arrays.equals(Tensors.shape(expected), Tensors.shape(given))
                || Tensors.type(expected) != Tensors.type(given)) {
            return false;
        }
        if (expected.numel() == 0) {
            return true;
        }
        Tensor a = plain(expected);
        Tensor b = plain(given);
        Tensor finite = a.abs().nan_to_num();
        double largest = finite.max().item_double();
        return torch.allclose(a, b, 1e-4, 1e-4 * (largest < 1e30 ? largest : 0), true);
    }

    private static Tensor plain(Tensor x) {
        return (x.is_quantized() ? x.dequantize() : x).to(ScalarType.Double);
    }
}
