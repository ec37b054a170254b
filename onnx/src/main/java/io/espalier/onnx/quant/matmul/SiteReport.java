package io.espalier.onnx.quant.matmul;

import java.util.Locale;
import java.util.OptionalDouble;

/**
 * What became of one product with a constant matrix, or of one table.
 *
 * @param name the node's name
 * @param bits of its weights: 32 where it stayed float, else 8 or 4
 * @param why what was done to it, or why it stayed as it was
 * @param error the root of the mean squared error of its output relative to the output's own, on
 *     calibration data; empty where it is float or there were no data
 */
public record SiteReport(String name, int bits, String why, OptionalDouble error) {
    static SiteReport left(String name, String why) {
        return new SiteReport(name, 32, why, OptionalDouble.empty());
    }

    /** Whether it is computed in integers, or stored so. */
    public boolean isQuantized() {
        return bits < 32;
    }

    @Override
    public String toString() {
        String measured =
                error.isPresent()
                        ? String.format(Locale.ROOT, ", error %.4f", error.getAsDouble())
                        : "";
        return name + ": " + (isQuantized() ? "int" + bits : "float") + ", " + why + measured;
    }
}
