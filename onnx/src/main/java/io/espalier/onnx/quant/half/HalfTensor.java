package io.espalier.onnx.quant.half;

import io.espalier.onnx.model.ConstantTensor;

import java.util.List;
import java.util.Optional;

/**
 * Floats as 16-bit floats times a power of two. The power is 1 unless numbers are too large for 16
 * bits (above 65504), or so small that a row or a column would lose its digits.
 *
 * @param halves the 16-bit floats
 * @param exponent of the power of two that each is to be multiplied by
 */
record HalfTensor(ConstantTensor halves, int exponent) {
    /** The exponent of the range's upper end: what is scaled lies from 2^14 to 2^15. */
    private static final int TOP = 14;

    /** A power of two that is a normal float, and whose product with any half is. */
    private static final int LEAST_EXPONENT = -100;

    /** Rounding to 11 bits changes a number by half of this part of it at most. */
    private static final double ROUNDING = 0x1p-10;

    /** What a float itself does not keep beside the largest row. */
    private static final double NOTHING = 0x1p-32;

    /** The floats in 16 bits; empty if some rows or columns would lose their digits. */
    static Optional<HalfTensor> of(ConstantTensor floats) {
        float[] values = floats.toFloats();
        Slices slices = Slices.of(floats.shape(), values.length);
        return of(floats.shape(), values, 0, slices)
                .or(() -> of(floats.shape(), values, scaling(values), slices));
    }

    /** The floats in 16 bits; empty if some are not the same in these. */
    static Optional<HalfTensor> exact(ConstantTensor floats) {
        float[] values = floats.toFloats();
        var halves = new short[values.length];
        for (int i = 0; i < values.length; i++) {
            halves[i] = Float.floatToFloat16(values[i]);
            if (Float.floatToRawIntBits(Float.float16ToFloat(halves[i]))
                    != Float.floatToRawIntBits(values[i])) {
                return Optional.empty();
            }
        }
        return Optional.of(new HalfTensor(ConstantTensor.halves(floats.shape(), halves), 0));
    }

    private static Optional<HalfTensor> of(
            List<Long> shape, float[] values, int exponent, Slices slices) {
        var halves = new short[values.length];
        var rounded = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            halves[i] = half(values[i], exponent);
            rounded[i] = Math.scalb(Float.float16ToFloat(halves[i]), exponent);
        }
        return slices.keep(values, rounded)
                ? Optional.of(new HalfTensor(ConstantTensor.halves(shape, halves), exponent))
                : Optional.empty();
    }

    /** The nearest half of a number without its power of two, which stays finite with it. */
    private static short half(float value, int exponent) {
        float scaled = (float) Math.scalb((double) value, -exponent);
        short half = Float.floatToFloat16(scaled);
        boolean overflows =
                Float.isFinite(value)
                        && Float.isInfinite(Math.scalb(Float.float16ToFloat(half), exponent));
        return overflows && exponent != 0 ? (short) (half - 1) : half;
    }

    private static int scaling(float[] values) {
        float largest = 0;
        for (float value : values) {
            if (Float.isFinite(value)) {
                largest = Math.max(largest, Math.abs(value));
            }
        }
        return Math.max(Math.getExponent(largest) - TOP, LEAST_EXPONENT);
    }

    /**
     * A tensor's rows, along its first dimension, and columns, along its last.
     *
     * @param perRow elements of a row
     * @param columns how many columns there are
     */
    private record Slices(int rows, int perRow, int columns) {
        static Slices of(List<Long> shape, int elements) {
            if (elements == 0) {
                return new Slices(0, 1, 0);
            }
            int rows = shape.isEmpty() ? 1 : Math.toIntExact(shape.getFirst());
            int columns = shape.isEmpty() ? 1 : Math.toIntExact(shape.getLast());
            return new Slices(rows, elements / rows, columns);
        }

        /** Whether each row and each column keeps its digits. */
        boolean keep(float[] values, float[] rounded) {
            double[][] squares = {new double[rows], new double[columns]};
            double[][] errors = {new double[rows], new double[columns]};
            for (int i = 0; i < values.length; i++) {
                if (Float.isFinite(values[i])) {
                    double square = (double) values[i] * values[i];
                    double error = (double) rounded[i] - values[i];
                    squares[0][i / perRow] += square;
                    squares[1][i % columns] += square;
                    errors[0][i / perRow] += error * error;
                    errors[1][i % columns] += error * error;
                }
            }
            return keep(squares[0], errors[0]) && keep(squares[1], errors[1]);
        }

        private static boolean keep(double[] squares, double[] errors) {
            double largest = 0;
            for (double square : squares) {
                largest = Math.max(largest, square);
            }
            for (int s = 0; s < squares.length; s++) {
                boolean kept =
                        errors[s] <= ROUNDING * ROUNDING * squares[s]
                                || errors[s] <= NOTHING * NOTHING * largest;
                if (!kept) {
                    return false;
                }
            }
            return true;
        }
    }
}
