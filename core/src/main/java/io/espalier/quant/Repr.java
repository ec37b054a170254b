package io.espalier.quant;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.math.BigDecimal;

/** Numbers and small tensors as Python prints them. */
final class Repr {
    private Repr() {}

    /** As {@code repr} of a Python float: {@code 50.0}, {@code 1e-05}, {@code inf}. */
    static String number(double value) {
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        BigDecimal digits = new BigDecimal(Double.toString(value)).stripTrailingZeros();
        int exponent = digits.precision() - digits.scale() - 1;
        if (exponent >= -4 && exponent < 16) {
            String plain = digits.toPlainString();
            return plain.contains(".") ? plain : plain + ".0";
        }
        String unscaled = digits.unscaledValue().abs().toString();
        return (value < 0 ? "-" : "")
                + unscaled.charAt(0)
                + (unscaled.length() > 1 ? "." + unscaled.substring(1) : "")
                + (exponent < 0 ? "e-" : "e+")
                + (Math.abs(exponent) < 10 ? "0" : "")
                + Math.abs(exponent);
    }

    /** As {@code repr} of a tensor, with its type where that isn't Python's default. */
    static String tensor(Tensor tensor) {
        String values = Tensors.toString(tensor);
        return Tensors.type(tensor) == ScalarType.Int
                ? values.substring(0, values.length() - 1) + ", dtype=torch.int32)"
                : values;
    }
}
