package io.espalier.nn;

import io.espalier.tensor.Internal;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Values as Python prints them: what a layer's {@code extraRepr} is made of. */
@Internal
public final class Repr {
    private Repr() {}

    /** {@code True} or {@code False}. */
    public static String of(boolean value) {
        return value ? "True" : "False";
    }

    /** The shortest digits that give the number back: {@code 0.1}, {@code 1e-05}, {@code 2.0}. */
    public static String of(double value) {
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        BigDecimal shortest = new BigDecimal(Double.toString(value)).stripTrailingZeros();
        int exponent = shortest.precision() - shortest.scale() - 1;
        // Python's float_repr_style: an exponent below 1e-4 and from 1e16 on.
        if (exponent >= -4 && exponent < 16) {
            return shortest.scale() <= 0
                    ? shortest.toPlainString() + ".0"
                    : shortest.toPlainString();
        }
        String digits = shortest.unscaledValue().abs().toString();
        return (value < 0 ? "-" : "")
                + digits.charAt(0)
                + (digits.length() > 1 ? "." + digits.substring(1) : "")
                + (exponent < 0 ? "e-" : "e+")
                + (Math.abs(exponent) < 10 ? "0" : "")
                + Math.abs(exponent);
    }

    /** A tuple: {@code (3, 3)}, and {@code (3,)} for one value. */
    public static String tuple(long... values) {
        return values.length == 1
                ? "(" + values[0] + ",)"
                : Arrays.stream(values)
                        .mapToObj(Long::toString)
                        .collect(Collectors.joining(", ", "(", ")"));
    }

    /** Pairs as a tuple of tuples: {@code ((0, 1), (2, 2))}. */
    public static String pairs(long[] first, long[] second) {
        String text =
                IntStream.range(0, first.length)
                        .mapToObj(d -> tuple(first[d], second[d]))
                        .collect(Collectors.joining(", "));
        return first.length == 1 ? "(" + text + ",)" : "(" + text + ")";
    }

    /** The number where there is one, a tuple where there are more. */
    static String numberOrTuple(List<Long> values) {
        return values.size() == 1 ? values.getFirst().toString() : tuple(Extents.array(values));
    }
}
