package io.espalier.onnx.fit;

import java.util.Locale;

/** How large an error is beside what it is an error of, in words for people. */
public final class Decibels {
    private static final double OF_SQUARES = 10;

    private Decibels() {}

    /**
     * Words for an error.
     *
     * @param squares the sum of the error's squares as a part of the sum of the values' squares
     */
    public static String ofSquares(double squares) {
        return squares > 0
                ? String.format(Locale.ROOT, "error %.1f dB", OF_SQUARES * Math.log10(squares))
                : "no error";
    }

    /**
     * Words for an error.
     *
     * @param root the root of that
     */
    public static String ofRoot(double root) {
        return ofSquares(root * root);
    }
}
