package io.espalier.onnx.lower;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.EspalierException;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Integers of a few bits, several in a byte, the first in the lowest bits. */
final class PackedIntegers {
    private PackedIntegers() {}

    /** The elements of a tensor whose type has 4 or 8 bits. */
    static int[] elements(ConstantTensor constant) {
        int count = Math.toIntExact(constant.elements());
        ElementType type = constant.type();
        return switch (type) {
            case UINT4, UINT8 -> rows(constant, type.bits(), 1, count);
            case INT4, INT8 -> signed(rows(constant, type.bits(), 1, count), type.bits());
            default -> throw new EspalierException("its integers are " + type);
        };
    }

    private static int[] signed(int[] integers, int bits) {
        int half = 1 << (bits - 1);
        for (int i = 0; i < integers.length; i++) {
            integers[i] -= integers[i] >= half ? 2 * half : 0;
        }
        return integers;
    }

    /** The unsigned integers of rows, each of which begins with a byte of its own. */
    static int[] rows(ConstantTensor bytes, int bits, int rows, int perRow) {
        if (bits != 2 && bits != 4 && bits != 8) {
            throw new EspalierException("its integers have " + bits + " bits");
        }
        int perByte = 8 / bits;
        int bytesPerRow = Math.ceilDiv(perRow, perByte);
        MemorySegment packed = bytes.bytes();
        if (packed.byteSize() != (long) rows * bytesPerRow) {
            throw new EspalierException(
                    "%d rows of %d integers of %d bits are not in %d bytes"
                            .formatted(rows, perRow, bits, packed.byteSize()));
        }
        var integers = new int[Math.multiplyExact(rows, perRow)];
        int mask = (1 << bits) - 1;
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < perRow; i++) {
                long at = (long) row * bytesPerRow + i / perByte;
                int eight = packed.get(ValueLayout.JAVA_BYTE, at);
                integers[row * perRow + i] = eight >> (i % perByte * bits) & mask;
            }
        }
        return integers;
    }
}
