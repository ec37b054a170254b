package io.espalier.onnx.quant.conv;

/** {@code x · clip(x / 6 + 1/2, 0, 1)} on codes whose first stands for −3. */
final class HardSwish {
    /** Its least value, at −1.5. */
    static final double LEAST = -0.375;

    /** The step of the codes for the factor from 0 to 1, before it is divided by 6. */
    static final float FACTOR_STEP = 6f / 255;

    private HardSwish() {}

    static float of(float x) {
        return x * Math.clamp(x / 6 + 0.5f, 0, 1);
    }

    /** What the integer kernels make of a code: the factor is a code too. */
    static float ofCode(AffineScale scale, int code) {
        double factor = Math.clamp(Math.rint(code * scale.scale() / FACTOR_STEP), 0, 255) / 255;
        return (float) (scale.value(code) * factor);
    }
}
