package io.espalier.onnx.model;

import io.espalier.onnx.proto.TensorProto;
import io.espalier.tensor.EspalierException;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/** Elements of each type, wherever a message keeps them: raw, or in the field of a wider type. */
final class TypedData {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private TypedData() {}

    /** The elements that a message holds itself, where it has them if they are raw. */
    static MemorySegment bytes(TensorProto proto, ElementType type, long elements) {
        if (proto.hasRawData()) {
            var raw = MemorySegment.ofBuffer(proto.getRawData().asReadOnlyByteBuffer());
            if (raw.byteSize() != size(type, elements)) {
                throw wrongSize(proto, type, raw.byteSize());
            }
            return raw;
        }
        return switch (type) {
            case FLOAT, COMPLEX64 -> floats(proto, type, elements);
            case DOUBLE, COMPLEX128 -> doubles(proto, type, elements);
            case INT64 -> longs(proto, proto.getInt64DataList(), type, elements);
            case UINT64, UINT32 -> longs(proto, proto.getUint64DataList(), type, elements);
            default -> ints(proto, type, elements);
        };
    }

    private static long size(ElementType type, long elements) {
        return elements > Long.MAX_VALUE / 16 ? Long.MAX_VALUE : type.bytes(elements);
    }

    private static MemorySegment floats(TensorProto proto, ElementType type, long elements) {
        int count = require(proto, proto.getFloatDataCount(), elements * type.bits() / 32);
        var bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(count, 4)]);
        for (int i = 0; i < count; i++) {
            bytes.setAtIndex(FLOAT, i, proto.getFloatData(i));
        }
        return bytes.asReadOnly();
    }

    private static MemorySegment doubles(TensorProto proto, ElementType type, long elements) {
        int count = require(proto, proto.getDoubleDataCount(), elements * type.bits() / 64);
        var bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(count, 8)]);
        for (int i = 0; i < count; i++) {
            bytes.setAtIndex(DOUBLE, i, proto.getDoubleData(i));
        }
        return bytes.asReadOnly();
    }

    private static MemorySegment longs(
            TensorProto proto, List<Long> data, ElementType type, long elements) {
        int count = require(proto, data.size(), elements);
        var bytes = MemorySegment.ofArray(new byte[Math.toIntExact(type.bytes(count))]);
        for (int i = 0; i < count; i++) {
            if (type == ElementType.UINT32) {
                bytes.setAtIndex(INT, i, (int) (long) data.get(i));
            } else {
                bytes.setAtIndex(LONG, i, data.get(i));
            }
        }
        return bytes.asReadOnly();
    }

    /** Types of up to 32 bits, one to each integer; those smaller than a byte come packed. */
    private static MemorySegment ints(TensorProto proto, ElementType type, long elements) {
        long size = size(type, elements);
        long count = type.bits() < 8 ? size : elements;
        int found = require(proto, proto.getInt32DataCount(), count);
        var bytes = MemorySegment.ofArray(new byte[Math.toIntExact(size)]);
        for (int i = 0; i < found; i++) {
            int value = proto.getInt32Data(i);
            switch (type.bits()) {
                case 32 -> bytes.setAtIndex(INT, i, value);
                case 16 -> bytes.setAtIndex(SHORT, i, (short) value);
                default -> bytes.set(ValueLayout.JAVA_BYTE, i, (byte) value);
            }
        }
        return bytes.asReadOnly();
    }

    private static int require(TensorProto proto, int found, long expected) {
        if (found != expected) {
            throw wrongCount(proto, expected, found);
        }
        return found;
    }

    static EspalierException wrongCount(TensorProto proto, long expected, long found) {
        return new EspalierException(
                "The constant '%s' of shape %s should have %d elements, and the file has %d."
                        .formatted(proto.getName(), proto.getDimsList(), expected, found));
    }

    private static EspalierException wrongSize(TensorProto proto, ElementType type, long found) {
        return new EspalierException(
                "The constant '%s' of %s %s can't have %d bytes."
                        .formatted(proto.getName(), type, proto.getDimsList(), found));
    }

    static float[] toFloats(ConstantTensor tensor) {
        MemorySegment bytes = tensor.bytes();
        var values = new float[count(tensor)];
        if (tensor.type() == ElementType.FLOAT) {
            MemorySegment.copy(bytes, FLOAT, 0, values, 0, values.length);
            return values;
        }
        for (int i = 0; i < values.length; i++) {
            values[i] =
                    switch (tensor.type()) {
                        case DOUBLE -> (float) bytes.getAtIndex(DOUBLE, i);
                        case FLOAT16 -> Float.float16ToFloat(bytes.getAtIndex(SHORT, i));
                        case BFLOAT16 -> Float.intBitsToFloat(bytes.getAtIndex(SHORT, i) << 16);
                        default -> integer(tensor, bytes, i);
                    };
        }
        return values;
    }

    static long[] toLongs(ConstantTensor tensor) {
        MemorySegment bytes = tensor.bytes();
        var values = new long[count(tensor)];
        for (int i = 0; i < values.length; i++) {
            values[i] =
                    switch (tensor.type()) {
                        case FLOAT -> (long) bytes.getAtIndex(FLOAT, i);
                        case DOUBLE -> (long) bytes.getAtIndex(DOUBLE, i);
                        case FLOAT16 -> (long) Float.float16ToFloat(bytes.getAtIndex(SHORT, i));
                        case BFLOAT16 ->
                                (long) Float.intBitsToFloat(bytes.getAtIndex(SHORT, i) << 16);
                        default -> integer(tensor, bytes, i);
                    };
        }
        return values;
    }

    private static long integer(ConstantTensor tensor, MemorySegment bytes, int i) {
        return switch (tensor.type()) {
            case INT64, UINT64 -> bytes.getAtIndex(LONG, i);
            case INT32 -> bytes.getAtIndex(INT, i);
            case UINT32 -> Integer.toUnsignedLong(bytes.getAtIndex(INT, i));
            case INT16 -> bytes.getAtIndex(SHORT, i);
            case UINT16 -> Short.toUnsignedInt(bytes.getAtIndex(SHORT, i));
            case INT8 -> bytes.get(ValueLayout.JAVA_BYTE, i);
            case UINT8, BOOL -> Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, i));
            case UINT4 -> small(bytes, i, 4);
            case INT4 -> (small(bytes, i, 4) ^ 8) - 8;
            case UINT2 -> small(bytes, i, 2);
            case INT2 -> (small(bytes, i, 2) ^ 2) - 2;
            default ->
                    throw new EspalierException(
                            "Elements of " + tensor.type() + " can't be read as numbers.");
        };
    }

    /** An element smaller than a byte; the first one lies in the lowest bits. */
    private static int small(MemorySegment bytes, int i, int bits) {
        int perByte = 8 / bits;
        int packed = Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, i / perByte));
        return packed >> (i % perByte * bits) & ((1 << bits) - 1);
    }

    private static int count(ConstantTensor tensor) {
        if (tensor.elements() > Integer.MAX_VALUE - 8) {
            throw new EspalierException(
                    "A tensor of " + tensor.elements() + " elements doesn't fit one array.");
        }
        return (int) tensor.elements();
    }
}
