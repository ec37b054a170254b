package io.espalier.onnx.export;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;

/** Tensors of libtorch as constants of a file. */
final class Weights {
    private static final long ALIGNMENT = 64;

    private Weights() {}

    /** A copy of a tensor, which may go on changing. */
    static ConstantTensor constant(Tensor tensor) {
        try (var scope = new PointerScope()) {
            Tensor plain = tensor.detach().contiguous();
            List<Long> shape = Arrays.stream(Tensors.shape(plain)).boxed().toList();
            MemorySegment bytes = Arena.ofAuto().allocate(plain.nbytes(), ALIGNMENT);
            if (plain.nbytes() > 0) {
                bytes.copyFrom(Tensors.segment(plain));
            }
            return ConstantTensor.of(type(Tensors.type(plain)), shape, bytes);
        }
    }

    /** The element type of the same numbers in a file. */
    static ElementType type(ScalarType type) {
        return switch (type) {
            case Float -> ElementType.FLOAT;
            case Double -> ElementType.DOUBLE;
            case Half -> ElementType.FLOAT16;
            case BFloat16 -> ElementType.BFLOAT16;
            case Long -> ElementType.INT64;
            case Int -> ElementType.INT32;
            case Short -> ElementType.INT16;
            case Char -> ElementType.INT8;
            case Byte -> ElementType.UINT8;
            case Bool -> ElementType.BOOL;
            default ->
                    throw new EspalierException(
                            "A tensor of " + type + " has no element type in ONNX.");
        };
    }

    /** A number of this type, without dimensions. */
    static ConstantTensor scalar(ElementType type, double value) {
        long bits =
                switch (type) {
                    case FLOAT -> Float.floatToIntBits((float) value);
                    case DOUBLE -> Double.doubleToLongBits(value);
                    case FLOAT16 -> Float.floatToFloat16((float) value);
                    case BFLOAT16 -> Float.floatToIntBits((float) value) >>> 16;
                    default -> (long) value;
                };
        byte[] bytes = new byte[type.bits() / 8];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (bits >> (8 * i)); // little-endian
        }
        return ConstantTensor.bytes(type, List.of(), bytes);
    }
}
