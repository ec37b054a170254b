package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.OptionalDouble;

/** Activations that exporters spell out, found by their formula whatever its order. */
final class Activations {
    private static final double SQRT_HALF = Math.sqrt(0.5);
    private static final double TANH_SLOPE = Math.sqrt(2 / Math.PI);

    /** Hendrycks and Gimpel's approximation of GELU, https://arxiv.org/abs/1606.08415. */
    private static final double TANH_CUBE = TANH_SLOPE * 0.044715;

    private Activations() {}

    /**
     * A spelled-out activation.
     *
     * @param last the node that makes its result
     * @param x its argument
     */
    record Found(OnnxNode last, String x) {}

    /** {@code x·clip(x + 3, 0, 6) / 6}, where this clips. */
    static @Nullable Found hardSwish(OnnxGraph graph, OnnxNode clip) {
        double high;
        if (clip.is("HardSigmoid")) {
            boolean sixth = Polynomial.near(clip.number("alpha", 0.2f), 1 / 6.0);
            if (!sixth || clip.number("beta", 0.5f) != 0.5f) {
                return null;
            }
            return hardSwish(graph, clip, 1, new double[] {0, 1});
        }
        if (!clip.is("Clip") || bound(graph, clip, "min", 1) != 0) {
            return null;
        }
        high = bound(graph, clip, "max", 2);
        return high > 0 ? hardSwish(graph, clip, high, new double[] {high / 2, high / 6}) : null;
    }

    private static @Nullable Found hardSwish(
            OnnxGraph graph, OnnxNode gate, double high, double[] argument) {
        for (Chain chain : Chain.from(graph, gate.output())) {
            for (String x : chain.candidates(graph)) {
                Polynomial inner = Polynomial.of(graph, gate.input(0), x);
                if (inner != null
                        && inner.is(argument)
                        && Polynomial.near(chain.factorOf(graph, x) * high, 1)) {
                    return new Found(chain.node(), x);
                }
            }
        }
        return null;
    }

    /**
     * A bound of a Clip, an attribute before version 11 and an input since; NaN if not a number.
     */
    private static double bound(OnnxGraph graph, OnnxNode clip, String name, int input) {
        if (clip.has(name)) {
            return clip.number(name, 0);
        }
        OptionalDouble number = Constants.number(graph, clip.input(input));
        return number.orElse(Double.NaN);
    }

    /** {@code x·(1 + erf(x / √2)) / 2}, where this is the error function. */
    static @Nullable Found gelu(OnnxGraph graph, OnnxNode erf) {
        return erf.is("Erf") ? gelu(graph, erf, 0, SQRT_HALF) : null;
    }

    /** {@code x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2}, where this is the tangent. */
    static @Nullable Found tanhGelu(OnnxGraph graph, OnnxNode tanh) {
        return tanh.is("Tanh") ? gelu(graph, tanh, 0, TANH_SLOPE, 0, TANH_CUBE) : null;
    }

    private static @Nullable Found gelu(OnnxGraph graph, OnnxNode inner, double... argument) {
        OnnxNode plus = graph.onlyReader(inner.output());
        if (plus == null || !isOnePlus(graph, plus, inner.output())) {
            return null;
        }
        for (Chain chain : Chain.from(graph, plus.output())) {
            for (String x : chain.candidates(graph)) {
                Polynomial found = Polynomial.of(graph, inner.input(0), x);
                if (found != null
                        && found.is(argument)
                        && Polynomial.near(chain.factorOf(graph, x), 0.5)) {
                    return new Found(chain.node(), x);
                }
            }
        }
        return null;
    }

    /** {@code 1 / (1 + exp(−x))}, or {@code x} divided so, where this is the exponential. */
    static @Nullable Found sigmoid(OnnxGraph graph, OnnxNode exp) {
        OnnxNode minus = exp.is("Exp") ? graph.producer(exp.input(0)) : null;
        if (minus == null) {
            return null;
        }
        String x = negated(graph, minus);
        OnnxNode plus = graph.onlyReader(exp.output());
        if (x == null || plus == null || !isOnePlus(graph, plus, exp.output())) {
            return null;
        }
        OnnxNode quotient = graph.onlyReader(plus.output());
        if (quotient == null) {
            return null;
        }
        boolean divides =
                quotient.is("Div")
                        && quotient.input(1).equals(plus.output())
                        && (isNumber(graph, quotient.input(0), 1) || quotient.input(0).equals(x));
        return divides || quotient.is("Reciprocal") ? new Found(quotient, x) : null;
    }

    private static @Nullable String negated(OnnxGraph graph, OnnxNode node) {
        for (String x : List.copyOf(node.inputs())) {
            Polynomial polynomial = Polynomial.of(graph, node.output(), x);
            if (polynomial != null && polynomial.is(0, -1)) {
                return x;
            }
        }
        return null;
    }

    private static boolean isOnePlus(OnnxGraph graph, OnnxNode node, String value) {
        return node.is("Add") && isNumber(graph, Constants.other(node, value), 1);
    }

    private static boolean isNumber(OnnxGraph graph, String value, double number) {
        OptionalDouble found = Constants.number(graph, value);
        return found.isPresent() && found.getAsDouble() == number;
    }
}
