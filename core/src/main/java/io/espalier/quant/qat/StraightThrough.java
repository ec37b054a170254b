package io.espalier.quant.qat;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Fake quantization with one scale: what libtorch's {@code fake_quantize_per_tensor} gives, bit for
 * bit, and its gradient, which passes where nothing was clamped. libtorch rounds value by value;
 * quantizing and dequantizing are vectorized and take a quarter of the time.
 */
final class StraightThrough {
    /**
     * How far beyond the last integers a value still rounds to them: short of a half, so that an
     * error in its product with 1 / scale does not round it to the next.
     */
    private static final double EDGE = 0.4999;

    private StraightThrough() {}

    /** Whether quantized tensors hold these integers. */
    static boolean takes(Tensor x, long quantMin, long quantMax) {
        return Tensors.type(x) == ScalarType.Float
                && ((quantMin >= 0 && quantMax <= 255) || (quantMin >= -128 && quantMax <= 127));
    }

    /** {@code (clamp(round(x / scale) + zeroPoint) − zeroPoint) · scale}. */
    static Tensor round(Tensor x, float scale, long zeroPoint, long quantMin, long quantMax) {
        PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope()) {
            Tensor y =
                    torch.clamp(
                            x,
                            new ScalarOptional(new Scalar((quantMin - zeroPoint - EDGE) * scale)),
                            new ScalarOptional(new Scalar((quantMax - zeroPoint + EDGE) * scale)));
            ScalarType type = quantMin >= 0 ? ScalarType.QUInt8 : ScalarType.QInt8;
            try (var noGrad = new NoGradGuard()) {
                y.copy_(torch.quantize_per_tensor(y, scale, zeroPoint, type).dequantize());
            }
            return Tensors.handOver(y, outer);
        }
    }
}
