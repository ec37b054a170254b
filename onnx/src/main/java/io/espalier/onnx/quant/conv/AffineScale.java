package io.espalier.onnx.quant.conv;

/**
 * How codes from 0 to 255 stand for real numbers: {@code (code − zeroPoint) · scale}.
 *
 * @param scale the step between two codes, above 0
 * @param zeroPoint the code of 0, from 0 to 255
 */
record AffineScale(float scale, int zeroPoint) {
    private static final int CODES = 255;

    /** The least step of 8-bit numbers that the runtime's kernels still divide by. */
    private static final double LEAST = 1e-8;

    /** Codes for a range, widened to hold 0 exactly. */
    static AffineScale of(double low, double high) {
        double from = Math.min(low, 0);
        double scale = Math.max((Math.max(high, 0) - from) / CODES, LEAST);
        return new AffineScale((float) scale, (int) Math.clamp(Math.rint(-from / scale), 0, CODES));
    }

    /** Codes of which the first stands for −3, where a hard swish begins to differ from 0. */
    static AffineScale fromMinusThree(double high) {
        int zeroPoint = (int) Math.clamp(Math.rint(3 * CODES / (Math.max(high, 0.5) + 3)), 1, 254);
        return new AffineScale(3f / zeroPoint, zeroPoint);
    }

    /** What a code stands for. */
    float value(int code) {
        return (code - zeroPoint) * scale;
    }

    /** The code nearest to a number. */
    int code(float value) {
        return (int) Math.clamp(Math.rint(value / scale) + zeroPoint, 0, CODES);
    }

    /** A number after it went through its code. */
    float rounded(float value) {
        return value(code(value));
    }
}
