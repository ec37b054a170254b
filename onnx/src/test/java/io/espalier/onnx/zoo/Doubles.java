package io.espalier.onnx.zoo;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/** Constants of 64 and of 16 bits. */
final class Doubles {
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private Doubles() {}

    static ConstantTensor of(List<Long> shape, double[] numbers) {
        var bytes = MemorySegment.ofArray(new byte[8 * numbers.length]);
        for (int i = 0; i < numbers.length; i++) {
            bytes.setAtIndex(DOUBLE, i, numbers[i]);
        }
        return ConstantTensor.of(ElementType.DOUBLE, shape, bytes);
    }

    /** Halves between -0.25 and 0.25. */
    static ConstantTensor halves(List<Long> shape) {
        int count = Math.toIntExact(shape.stream().reduce(1L, (a, b) -> a * b));
        var bytes = MemorySegment.ofArray(new byte[2 * count]);
        for (int i = 0; i < count; i++) {
            bytes.setAtIndex(SHORT, i, Float.floatToFloat16((float) Math.sin(3 * i) / 4));
        }
        return ConstantTensor.of(ElementType.FLOAT16, shape, bytes);
    }
}
