package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/**
 * Normalizations over the last dimensions that means, differences and roots spell out: {@code (x −
 * mean) / √(mean((x − mean)²) + ε) · scale + shift}.
 */
final class LayerNormalizations {
    private LayerNormalizations() {}

    /**
     * A spelled-out normalization.
     *
     * @param last the node that makes its result
     * @param dimensions over how many of the last dimensions
     * @param scale the constant that it is multiplied by
     * @param shift the constant that is added; empty if none is
     */
    private record Found(
            OnnxNode last, String x, int dimensions, double epsilon, String scale, String shift) {}

    static boolean areIn(Subject subject) {
        return subject.graph().nodes().stream().anyMatch(node -> find(subject, node) != null);
    }

    static int recognize(Subject subject) {
        if (subject.opset() < Recognition.LAYER_NORMALIZATION_SINCE) {
            return 0;
        }
        OnnxGraph graph = subject.graph();
        int changes = 0;
        for (OnnxNode node : graph.nodes()) {
            Found found = subject.isThere(node) ? find(subject, node) : null;
            if (found != null) {
                graph.replace(found.last, normalization(graph, found));
                changes++;
            }
        }
        return changes;
    }

    private static OnnxNode normalization(OnnxGraph graph, Found found) {
        var inputs = new ArrayList<>(List.of(found.x, flat(graph, found, found.scale)));
        if (!found.shift.isEmpty()) {
            inputs.add(flat(graph, found, found.shift));
        }
        return OnnxNode.of("LayerNormalization", inputs, found.last.output())
                .with("axis", (long) -found.dimensions)
                .with("epsilon", (float) found.epsilon);
    }

    /** A constant without the dimensions of length 1 that stand before those normalized over. */
    private static String flat(OnnxGraph graph, Found found, String name) {
        ConstantTensor constant = graph.constant(name);
        int more = constant == null ? 0 : constant.shape().size() - found.dimensions;
        return constant == null || more == 0
                ? name
                : graph.addConstant(
                        name,
                        constant.reshaped(constant.shape().subList(more, constant.shape().size())));
    }

    /** The normalization that this node takes the root for. */
    private static @Nullable Found find(Subject subject, OnnxNode root) {
        OnnxGraph graph = subject.graph();
        if (!root.is("Sqrt")) {
            return null;
        }
        OnnxNode plus = graph.producer(root.input(0));
        if (plus == null || !plus.is("Add")) {
            return null;
        }
        for (String variance : plus.inputs()) {
            OptionalDouble epsilon = Constants.number(graph, Constants.other(plus, variance));
            OnnxNode mean = graph.producer(variance);
            if (epsilon.isPresent() && mean != null && mean.is("ReduceMean")) {
                return find(subject, root, mean, epsilon.getAsDouble());
            }
        }
        return null;
    }

    private static @Nullable Found find(
            Subject subject, OnnxNode root, OnnxNode mean, double epsilon) {
        OnnxGraph graph = subject.graph();
        OnnxNode difference = squared(graph, mean.input(0));
        OnnxNode center = difference == null ? null : graph.producer(difference.input(1));
        if (difference == null
                || center == null
                || !center.is("ReduceMean")
                || !center.input(0).equals(difference.input(0))) {
            return null;
        }
        String x = difference.input(0);
        int dimensions = lastDimensions(subject, center, x);
        if (dimensions == 0 || dimensions != lastDimensions(subject, mean, x)) {
            return null;
        }
        OnnxNode quotient = quotient(graph, root, difference, x);
        return quotient == null ? null : find(subject, quotient, x, dimensions, epsilon);
    }

    /** The subtraction whose result is squared; null if the value is no square of one. */
    private static @Nullable OnnxNode squared(OnnxGraph graph, String square) {
        OnnxNode maker = graph.producer(square);
        if (maker == null || maker.inputs().size() != 2) {
            return null;
        }
        boolean pow =
                maker.is("Pow")
                        && Constants.number(graph, maker.input(1)).equals(OptionalDouble.of(2));
        boolean product = maker.is("Mul") && maker.input(0).equals(maker.input(1));
        OnnxNode difference = pow || product ? graph.producer(maker.input(0)) : null;
        return difference != null && difference.is("Sub") ? difference : null;
    }

    /** Over how many of the last dimensions a mean goes, which stay with length 1; 0 if others. */
    private static int lastDimensions(Subject subject, OnnxNode mean, String x) {
        List<Long> axes = Constants.integers(subject.graph(), mean, "axes", 1);
        if (axes == null || axes.isEmpty() || mean.integer("keepdims", 1) != 1) {
            return 0;
        }
        int rank = subject.rank(x);
        List<Long> sorted =
                axes.stream()
                        .map(axis -> axis < 0 || rank < 0 ? axis : axis - rank)
                        .sorted()
                        .toList();
        for (int i = 0; i < sorted.size(); i++) {
            if (sorted.get(i) != i - sorted.size()) {
                return 0;
            }
        }
        return sorted.size();
    }

    /** The division of the difference, or of another one that is the same, by the root. */
    private static @Nullable OnnxNode quotient(
            OnnxGraph graph, OnnxNode root, OnnxNode difference, String x) {
        OnnxNode reader = graph.onlyReader(root.output());
        if (reader == null || reader.inputs().isEmpty()) {
            return null;
        }
        String divisor = root.output();
        if (reader.is("Reciprocal")) {
            divisor = reader.output();
            reader = graph.onlyReader(divisor);
            if (reader == null || !reader.is("Mul")) {
                return null;
            }
        } else if (!reader.is("Div") || !reader.input(1).equals(divisor)) {
            return null;
        }
        OnnxNode dividend = graph.producer(Constants.other(reader, divisor));
        boolean same =
                dividend == difference
                        || (dividend != null
                                && dividend.is("Sub")
                                && dividend.inputs().equals(difference.inputs()));
        return same && difference.input(0).equals(x) ? reader : null;
    }

    private static @Nullable Found find(
            Subject subject, OnnxNode quotient, String x, int dimensions, double epsilon) {
        OnnxGraph graph = subject.graph();
        OnnxNode scaled = graph.onlyReader(quotient.output());
        if (scaled == null || !scaled.is("Mul") || scaled.input(0).equals(scaled.input(1))) {
            return null;
        }
        String scale = Constants.other(scaled, quotient.output());
        if (!isOver(subject, scale, x, dimensions)) {
            return null;
        }
        OnnxNode shifted = graph.onlyReader(scaled.output());
        if (shifted != null && shifted.is("Add") && !shifted.input(0).equals(shifted.input(1))) {
            String shift = Constants.other(shifted, scaled.output());
            if (isOver(subject, shift, x, dimensions)
                    && extents(graph, shift, dimensions)
                            .equals(extents(graph, scale, dimensions))) {
                return new Found(shifted, x, dimensions, epsilon, scale, shift);
            }
        }
        return new Found(scaled, x, dimensions, epsilon, scale, "");
    }

    /** Whether this is a constant of just the last dimensions of {@code x}. */
    private static boolean isOver(Subject subject, String value, String x, int dimensions) {
        ConstantTensor constant = Constants.floats(subject.graph(), value);
        if (constant == null || constant.shape().size() < dimensions) {
            return false;
        }
        List<Long> shape = constant.shape();
        int more = shape.size() - dimensions;
        int rank = subject.rank(x);
        boolean adds = more > 0 && rank < shape.size();
        for (int i = 0; i < dimensions; i++) {
            long extent = rank < 0 ? -1 : subject.extent(x, rank - dimensions + i);
            if (extent < 0 || extent != shape.get(more + i)) {
                return false;
            }
        }
        return !adds && shape.stream().limit(more).allMatch(extent -> extent == 1);
    }

    private static List<Long> extents(OnnxGraph graph, String value, int dimensions) {
        ConstantTensor constant = graph.constant(value);
        return constant == null
                ? List.of()
                : constant.shape()
                        .subList(constant.shape().size() - dimensions, constant.shape().size());
    }
}
