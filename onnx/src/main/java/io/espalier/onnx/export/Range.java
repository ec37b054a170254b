package io.espalier.onnx.export;

import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * How integers stand for the numbers of an activation: {@code (q − zeroPoint) · scale}.
 *
 * @param type UINT8 or INT8
 */
record Range(float scale, int zeroPoint, ElementType type) {
    /** In unsigned 8 bit. */
    static Range unsigned(double scale, long zeroPoint) {
        return new Range((float) scale, Math.toIntExact(zeroPoint), ElementType.UINT8);
    }

    /** That of a tensor; null if it is not quantized. */
    static @Nullable Range of(Tensor tensor) {
        if (!tensor.is_quantized()) {
            return null;
        }
        return new Range(
                (float) tensor.q_scale(),
                Math.toIntExact(tensor.q_zero_point()),
                switch (Tensors.type(tensor)) {
                    case QUInt8 -> ElementType.UINT8;
                    case QInt8 -> ElementType.INT8;
                    default ->
                            throw new EspalierException(
                                    "Activations of "
                                            + Tensors.type(tensor)
                                            + " can't be exported; quantize to 8 bits.");
                });
    }
}
