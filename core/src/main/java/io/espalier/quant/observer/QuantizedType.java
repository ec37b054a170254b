package io.espalier.quant.observer;

import java.util.Locale;

/** What a value is stored as after quantization. */
public enum QuantizedType {
    /** Unsigned 8 bit, 0 … 255: activations. */
    QUINT8(0, 255),
    /** Signed 8 bit, −128 … 127: weights. */
    QINT8(-128, 127),
    /** Signed 32 bit: biases and accumulators. */
    QINT32(Integer.MIN_VALUE, Integer.MAX_VALUE),
    /** Unsigned 4 bit, 0 … 15, two in a byte: tables of vectors. */
    QUINT4X2(0, 15),
    /** 16-bit floating point: stored as it is, without scale and zero point. */
    FLOAT16(0, 0);

    private final int min;
    private final int max;

    QuantizedType(int min, int max) {
        this.min = min;
        this.max = max;
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

    /** As PyTorch prints it: {@code torch.quint8}. */
    @Override
    public String toString() {
        return "torch." + name().toLowerCase(Locale.ROOT);
    }
}
