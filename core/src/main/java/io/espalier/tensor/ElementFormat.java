package io.espalier.tensor;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Arrays;
import java.util.function.DoubleFunction;

/**
 * How the elements of one tensor are written, all alike: whole numbers with a dot, four decimals,
 * or four decimals and an exponent where the magnitudes lie far apart. The rules are PyTorch's.
 */
final class ElementFormat {
    private static final int PRECISION = 4;

    /** Beyond these PyTorch writes exponents. */
    private static final double LARGEST_RATIO = 1000;

    private static final double LARGEST = 1e8;
    private static final double SMALLEST = 1e-4;

    private final DoubleFunction<String> plain;
    private final int width;

    private ElementFormat(DoubleFunction<String> plain, int width) {
        this.plain = plain;
        this.width = width;
    }

    /** For floating-point elements. */
    static ElementFormat of(double[] values) {
        double[] counted =
                Arrays.stream(values).filter(v -> v != 0 && Double.isFinite(v)).toArray();
        if (counted.length == 0) {
            return new ElementFormat(ElementFormat::whole, 1);
        }
        double largest = Arrays.stream(counted).map(Math::abs).max().orElseThrow();
        double smallest = Arrays.stream(counted).map(Math::abs).min().orElseThrow();
        boolean whole = Arrays.stream(counted).allMatch(v -> v == Math.rint(v));
        boolean exponents =
                largest / smallest > LARGEST_RATIO
                        || largest > LARGEST
                        || (!whole && smallest < SMALLEST);
        DoubleFunction<String> plain =
                exponents
                        ? ElementFormat::scientific
                        : whole ? ElementFormat::whole : ElementFormat::decimal;
        int width = Arrays.stream(counted).mapToInt(v -> plain.apply(v).length()).max().orElse(1);
        return new ElementFormat(plain, width);
    }

    /** For integer or boolean elements, which are written as they are. */
    static ElementFormat of(String[] elements) {
        return new ElementFormat(
                value -> elements[(int) value],
                Arrays.stream(elements).mapToInt(String::length).max().orElse(1));
    }

    /** The width of the widest element that counts. */
    int width() {
        return width;
    }

    /** The element, filled up from the left. */
    String apply(double value) {
        String text = plain.apply(value);
        return " ".repeat(Math.max(0, width - text.length())) + text;
    }

    private static String whole(double value) {
        return Double.isFinite(value) ? sign(value) + fixed(value, 0) + "." : special(value);
    }

    private static String decimal(double value) {
        return Double.isFinite(value) ? sign(value) + fixed(value, PRECISION) : special(value);
    }

    private static String scientific(double value) {
        if (!Double.isFinite(value)) {
            return special(value);
        }
        BigDecimal exact = new BigDecimal(Math.abs(value));
        BigDecimal rounded = exact.round(new MathContext(PRECISION + 1, RoundingMode.HALF_EVEN));
        int exponent = value == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
        return sign(value)
                + rounded.movePointLeft(exponent)
                        .setScale(PRECISION, RoundingMode.HALF_EVEN)
                        .toPlainString()
                + (exponent < 0 ? "e-" : "e+")
                + (Math.abs(exponent) < 10 ? "0" : "")
                + Math.abs(exponent);
    }

    private static String fixed(double value, int decimals) {
        return new BigDecimal(Math.abs(value))
                .setScale(decimals, RoundingMode.HALF_EVEN)
                .toPlainString();
    }

    private static String sign(double value) {
        return Math.copySign(1, value) < 0 ? "-" : "";
    }

    private static String special(double value) {
        return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    }
}
