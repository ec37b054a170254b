package io.espalier.onnx.model;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.global.torch.ScalarType;

/** What a tensor's elements are, by the numbers of the standard's {@code TensorProto.DataType}. */
public enum ElementType {
    FLOAT(1, 32),
    UINT8(2, 8),
    INT8(3, 8),
    UINT16(4, 16),
    INT16(5, 16),
    INT32(6, 32),
    INT64(7, 64),
    /** Bytes of any length each: such a tensor has no fixed size. */
    STRING(8, 0),
    BOOL(9, 8),
    FLOAT16(10, 16),
    DOUBLE(11, 64),
    UINT32(12, 32),
    UINT64(13, 64),
    COMPLEX64(14, 64),
    COMPLEX128(15, 128),
    BFLOAT16(16, 16),
    FLOAT8E4M3FN(17, 8),
    FLOAT8E4M3FNUZ(18, 8),
    FLOAT8E5M2(19, 8),
    FLOAT8E5M2FNUZ(20, 8),
    UINT4(21, 4),
    INT4(22, 4),
    FLOAT4E2M1(23, 4),
    FLOAT8E8M0(24, 8),
    UINT2(25, 2),
    INT2(26, 2);

    private static final ElementType[] ALL = values();

    private final int code;
    private final int bits;

    ElementType(int code, int bits) {
        this.code = code;
        this.bits = bits;
    }

    /**
     * The type of this number.
     *
     * @throws EspalierException if the standard has none
     */
    public static ElementType of(int code) {
        if (code < 1 || code > ALL.length) {
            throw new EspalierException(
                    "There is no element type " + code + " in ONNX; its types are 1 to 26.");
        }
        return ALL[code - 1];
    }

    /** The standard's number of this type. */
    public int code() {
        return code;
    }

    /** Bits of one element, 0 for strings. */
    public int bits() {
        return bits;
    }

    /** Bytes of so many elements, of which those smaller than a byte share one. */
    public long bytes(long elements) {
        return bits >= 8
                ? Math.multiplyExact(elements, bits / 8)
                : Math.ceilDiv(Math.multiplyExact(elements, bits), 8);
    }

    /** Whether this is a real number of 16 bits or more, which a model computes with. */
    public boolean isFloating() {
        return this == FLOAT || this == DOUBLE || this == FLOAT16 || this == BFLOAT16;
    }

    /**
     * The type of libtorch's tensors with these elements.
     *
     * @throws EspalierException if libtorch has none
     */
    public ScalarType libtorch() {
        return switch (this) {
            case FLOAT -> ScalarType.Float;
            case DOUBLE -> ScalarType.Double;
            case FLOAT16 -> ScalarType.Half;
            case BFLOAT16 -> ScalarType.BFloat16;
            case INT64 -> ScalarType.Long;
            case INT32 -> ScalarType.Int;
            case INT16 -> ScalarType.Short;
            case INT8 -> ScalarType.Char;
            case UINT8 -> ScalarType.Byte;
            case UINT16 -> ScalarType.UInt16;
            case UINT32 -> ScalarType.UInt32;
            case UINT64 -> ScalarType.UInt64;
            case BOOL -> ScalarType.Bool;
            default -> throw new EspalierException("libtorch has no tensors of type " + this + ".");
        };
    }

    /**
     * The type of the elements of libtorch's tensors of this type.
     *
     * @throws EspalierException if ONNX has none
     */
    public static ElementType of(ScalarType type) {
        return switch (type.intern()) {
            case Float -> FLOAT;
            case Double -> DOUBLE;
            case Half -> FLOAT16;
            case BFloat16 -> BFLOAT16;
            case Long -> INT64;
            case Int -> INT32;
            case Short -> INT16;
            case Char -> INT8;
            case Byte -> UINT8;
            case UInt16 -> UINT16;
            case UInt32 -> UINT32;
            case UInt64 -> UINT64;
            case Bool -> BOOL;
            default -> throw new EspalierException("ONNX has no elements of type " + type + ".");
        };
    }
}
