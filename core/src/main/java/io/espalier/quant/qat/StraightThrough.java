package io.espalier.quant.qat;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.Arrays;

/**
 * Fake quantization: what libtorch's {@code fake_quantize_per_tensor} and {@code _per_channel}
 * give, bit for bit, and their gradient, which passes where nothing was clamped. libtorch rounds
 * value by value; these operations are vectorized and take a fraction of the time.
 */
final class StraightThrough {
    private StraightThrough() {}

    /** {@code (clamp(round(x / scale) + zeroPoint) − zeroPoint) · scale}, for 32-bit floats. */
    static Tensor round(Tensor x, float scale, long zeroPoint, long quantMin, long quantMax) {
        PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope()) {
            Tensor y =
                    clamped(
                            x,
                            -last(zeroPoint - quantMin, scale),
                            last(quantMax - zeroPoint, scale));
            try (var noGrad = new NoGradGuard()) {
                rounded(y.mul_(new Scalar(1 / scale))).mul_(new Scalar(scale));
            }
            return Tensors.handOver(y, outer);
        }
    }

    /**
     * The same with a scale for each index of the first dimension.
     *
     * @param scales as many as {@code x} has entries along its first dimension
     */
    static Tensor round(Tensor x, Tensor scales, long zeroPoint, long quantMin, long quantMax) {
        PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope()) {
            long[] shape = new long[Math.toIntExact(x.dim())];
            Arrays.fill(shape, 1);
            shape[0] = x.size(0);
            Tensor scale = scales.view(shape);
            Tensor steps =
                    clamped(
                            x.mul(scale.reciprocal()),
                            Math.nextUp(quantMin - zeroPoint - 0.5f),
                            Math.nextDown(quantMax - zeroPoint + 0.5f));
            rounded(steps);
            return Tensors.handOver(steps.mul(scale), outer);
        }
    }

    /** Rounds in place, past the gradient; none is negative zero. */
    private static Tensor rounded(Tensor steps) {
        try (var noGrad = new NoGradGuard()) {
            return steps.round_().add_(new Scalar(0));
        }
    }

    /** The greatest float that rounds to so many steps, not more. */
    private static float last(long steps, float scale) {
        float inverse = 1 / scale;
        float x = (steps + 0.5f) * scale;
        // The product is off by a few units in the last place at most.
        for (int i = 0; i < 8 && Math.rint(x * inverse) > steps; i++) {
            x = Math.nextDown(x);
        }
        for (int i = 0; i < 8 && Math.rint(Math.nextUp(x) * inverse) <= steps; i++) {
            x = Math.nextUp(x);
        }
        return x;
    }

    /** What {@code clamp} gives; the gradient takes one pass over the values instead of four. */
    private static Tensor clamped(Tensor x, float low, float high) {
        return torch.hardtanh(x, new Scalar(low), new Scalar(high));
    }
}
