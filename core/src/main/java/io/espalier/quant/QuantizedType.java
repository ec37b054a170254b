package io.espalier.quant;

import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Locale;

/** What a value is stored as after quantization. */
public enum QuantizedType {
    /** Unsigned 8 bit, 0 … 255: activations. */
    QUINT8(0, 255, ScalarType.QUInt8),
    /** Signed 8 bit, −128 … 127: weights. */
    QINT8(-128, 127, ScalarType.QInt8),
    /** Signed 32 bit: biases and accumulators. */
    QINT32(Integer.MIN_VALUE, Integer.MAX_VALUE, ScalarType.QInt32),
    /** Unsigned 4 bit, 0 … 15, two in a byte: tables of vectors. */
    QUINT4X2(0, 15, ScalarType.QUInt8),
    /** 16-bit floating point: stored as it is, without scale and zero point. */
    FLOAT16(0, 0, ScalarType.Half);

    private final int min;
    private final int max;
    private final ScalarType scalarType;

    QuantizedType(int min, int max, ScalarType scalarType) {
        this.min = min;
        this.max = max;
        this.scalarType = scalarType;
    }

    /** The smallest integer of the type; 0 for {@link #FLOAT16}, which has no integers. */
    public int min() {
        return min;
    }

    /** The largest integer of the type; 0 for {@link #FLOAT16}, which has no integers. */
    public int max() {
        return max;
    }

    /** Whether values are integers with a scale and a zero point. */
    public boolean isInteger() {
        return this != FLOAT16;
    }

    /** The type that libtorch computes with; 4-bit integers take a byte each there. */
    ScalarType scalarType() {
        return scalarType;
    }

    /** As PyTorch prints it: {@code torch.quint8}. */
    @Override
    public String toString() {
        return "torch." + name().toLowerCase(Locale.ROOT);
    }
}
