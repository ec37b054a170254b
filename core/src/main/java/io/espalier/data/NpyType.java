package io.espalier.data;

import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.Optional;

/** The element types of NumPy's that are read and written. */
enum NpyType {
    FLOAT32("<f4", ScalarType.Float, 4),
    FLOAT64("<f8", ScalarType.Double, 8),
    FLOAT16("<f2", ScalarType.Half, 2),
    INT64("<i8", ScalarType.Long, 8),
    INT32("<i4", ScalarType.Int, 4),
    INT16("<i2", ScalarType.Short, 2),
    INT8("|i1", ScalarType.Char, 1),
    UINT8("|u1", ScalarType.Byte, 1),
    BOOL("|b1", ScalarType.Bool, 1);

    private final String descr;
    private final ScalarType type;
    private final int bytes;

    NpyType(String descr, ScalarType type, int bytes) {
        this.descr = descr;
        this.type = type;
        this.bytes = bytes;
    }

    /** NumPy's name, with the byte order in front. */
    String descr() {
        return descr;
    }

    ScalarType type() {
        return type;
    }

    int bytes() {
        return bytes;
    }

    static Optional<NpyType> named(String descr) {
        return Arrays.stream(values()).filter(known -> known.descr.equals(descr)).findFirst();
    }

    static Optional<NpyType> of(ScalarType type) {
        return Arrays.stream(values()).filter(known -> known.type == type).findFirst();
    }
}
