package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.OptionalDouble;

/**
 * What additions and multiplications by numbers make of one value: {@code c0 + c1·x + c2·x² +
 * c3·x³}. Formulas that exporters spell out in many ways are the same polynomial.
 */
final class Polynomial {
    private static final int TERMS = 4;
    private static final int DEEPEST = 8;

    /** Constants are written in floats, some with five digits. */
    private static final double TOLERANCE = 2e-5;

    /** By power, from 0 to 3. */
    private final double[] coefficients;

    private Polynomial(double... coefficients) {
        this.coefficients = coefficients;
    }

    /**
     * The polynomial in {@code x} that a value is; null if other values are part of it, or higher
     * powers.
     */
    static @Nullable Polynomial of(OnnxGraph graph, String value, String x) {
        return of(graph, value, x, DEEPEST);
    }

    private static @Nullable Polynomial of(OnnxGraph graph, String value, String x, int depth) {
        if (value.equals(x)) {
            return new Polynomial(0, 1, 0, 0);
        }
        OptionalDouble number = Constants.number(graph, value);
        if (number.isPresent()) {
            return new Polynomial(number.getAsDouble(), 0, 0, 0);
        }
        OnnxNode maker = graph.producer(value);
        if (maker == null || depth == 0 || !maker.domain().isEmpty()) {
            return null;
        }
        if (maker.is("Neg")) {
            Polynomial only = of(graph, maker.input(0), x, depth - 1);
            return only == null ? null : only.times(-1);
        }
        if (maker.inputs().size() != 2) {
            return null;
        }
        Polynomial left = of(graph, maker.input(0), x, depth - 1);
        Polynomial right = left == null ? null : of(graph, maker.input(1), x, depth - 1);
        if (left == null || right == null) {
            return null;
        }
        return switch (maker.op()) {
            case "Add" -> left.plus(right);
            case "Sub" -> left.plus(right.times(-1));
            case "Mul" -> left.times(right);
            case "Div" -> right.isNumber() ? left.times(1 / right.coefficients[0]) : null;
            case "Pow" -> right.isNumber() ? left.power(right.coefficients[0]) : null;
            default -> null;
        };
    }

    private boolean isNumber() {
        return coefficients[1] == 0 && coefficients[2] == 0 && coefficients[3] == 0;
    }

    private Polynomial plus(Polynomial other) {
        var sum = new double[TERMS];
        for (int i = 0; i < TERMS; i++) {
            sum[i] = coefficients[i] + other.coefficients[i];
        }
        return new Polynomial(sum);
    }

    private Polynomial times(double factor) {
        var product = new double[TERMS];
        for (int i = 0; i < TERMS; i++) {
            product[i] = coefficients[i] * factor;
        }
        return new Polynomial(product);
    }

    private @Nullable Polynomial times(Polynomial other) {
        var product = new double[TERMS];
        for (int i = 0; i < TERMS; i++) {
            for (int j = 0; j < TERMS; j++) {
                double term = coefficients[i] * other.coefficients[j];
                if (i + j < TERMS) {
                    product[i + j] += term;
                } else if (term != 0) {
                    return null;
                }
            }
        }
        return new Polynomial(product);
    }

    private @Nullable Polynomial power(double exponent) {
        if (exponent == 2) {
            return times(this);
        }
        Polynomial square = exponent == 3 ? times(this) : null;
        return square == null ? null : square.times(this);
    }

    /** Whether it is this one, as far as floats tell. */
    boolean is(double... expected) {
        for (int i = 0; i < TERMS; i++) {
            double wanted = i < expected.length ? expected[i] : 0;
            if (!near(coefficients[i], wanted)) {
                return false;
            }
        }
        return true;
    }

    /** The factor of {@code x} if it is that alone, else 0. */
    double factor() {
        return is(0, coefficients[1]) ? coefficients[1] : 0;
    }

    static boolean near(double value, double wanted) {
        return Math.abs(value - wanted) <= TOLERANCE * Math.abs(wanted);
    }
}
