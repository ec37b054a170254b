package io.espalier.state;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.stream.Collectors;

/** The element types of a safetensors file that this library reads and writes. */
enum SafeTensorsType {
    F64(ScalarType.Double, 8),
    F32(ScalarType.Float, 4),
    F16(ScalarType.Half, 2),
    BF16(ScalarType.BFloat16, 2),
    I64(ScalarType.Long, 8),
    I32(ScalarType.Int, 4),
    I16(ScalarType.Short, 2),
    I8(ScalarType.Char, 1),
    U8(ScalarType.Byte, 1),
    BOOL(ScalarType.Bool, 1);

    private final ScalarType type;
    private final int bytes;

    SafeTensorsType(ScalarType type, int bytes) {
        this.type = type;
        this.bytes = bytes;
    }

    ScalarType type() {
        return type;
    }

    int bytes() {
        return bytes;
    }

    boolean isFloating() {
        return compareTo(I64) < 0;
    }

    /** The bits of 1. */
    long one() {
        return switch (this) {
            case F64 -> Double.doubleToRawLongBits(1);
            case F32 -> Float.floatToRawIntBits(1);
            case F16 -> Float.floatToFloat16(1);
            case BF16 -> Float.floatToRawIntBits(1) >>> 16;
            case I64, I32, I16, I8, U8, BOOL -> 1;
        };
    }

    /**
     * Refuses elements that are none: any other byte than 0 and 1 in a boolean tensor makes
     * libtorch's operators disagree.
     *
     * @param name of the tensor
     */
    void requireElements(String name, MemorySegment data) {
        for (long i = 0; this == BOOL && i < data.byteSize(); i++) {
            if ((data.get(ValueLayout.JAVA_BYTE, i) & ~1) != 0) {
                throw new EspalierException(
                        "tensor '"
                                + SafeTensors.printable(name)
                                + "' is BOOL and holds a byte other than 0 and 1");
            }
        }
    }

    static SafeTensorsType of(ScalarType type) {
        return Arrays.stream(values())
                .filter(known -> known.type == type)
                .findFirst()
                .orElseThrow(() ->
                        new EspalierException(
                                type
                                        + " can't be stored in a safetensors file, which"
                                        + " holds "
                                        + names()
                                        + "; store a quantized tensor as its integers,"
                                        + " scale and zero point."));
    }

    static SafeTensorsType of(String name) {
        return Arrays.stream(values())
                .filter(known -> known.name().equals(name))
                .findFirst()
                .orElseThrow(() ->
                        new EspalierException("has the type '" + name + "'; known are " + names()));
    }

    private static String names() {
        return Arrays.stream(values()).map(Enum::name).collect(Collectors.joining(", "));
    }
}
