package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.stream.LongStream;

/** Nodes whose result is one of their inputs, and pairs of which the second undoes the first. */
final class NoOperations {
    private NoOperations() {}

    static int remove(Subject subject) {
        OnnxGraph graph = subject.graph();
        int changes = 0;
        for (OnnxNode node : graph.nodes()) {
            if (!subject.isThere(node)) {
                continue;
            }
            String same = same(subject, node);
            if (same != null && canStandFor(graph, same, node)) {
                graph.replaceReads(node.output(), same);
                if (subject.isThere(node) && graph.readers(node.output()).isEmpty()) {
                    graph.remove(node);
                }
                changes++;
            } else {
                changes += joined(subject, node) ? 1 : 0;
            }
        }
        return changes;
    }

    /** Whether a value can take the place of a node's result: results of the graph keep names. */
    private static boolean canStandFor(OnnxGraph graph, String value, OnnxNode node) {
        return !graph.isOutput(node.output())
                || (graph.producer(value) != null && !graph.isOutput(value));
    }

    /** The input that a node gives unchanged; null if there is none. */
    private static @Nullable String same(Subject subject, OnnxNode node) {
        if (!node.domain().isEmpty() || node.inputs().isEmpty()) {
            return null;
        }
        OnnxGraph graph = subject.graph();
        String x = node.input(0);
        return switch (node.op()) {
            case "Identity" -> x;
            case "Dropout" -> isInference(graph, node) ? x : null;
            case "Cast" -> isOfType(subject, x, node.integer("to", 0)) ? x : null;
            case "Sum", "Max", "Min", "Mean", "Concat" -> node.inputs().size() == 1 ? x : null;
            case "Clip" -> hasNoBounds(node) ? x : null;
            case "Transpose" -> isInOrder(node.integers("perm")) ? x : null;
            case "Add", "Sub" -> neutral(subject, node, 0);
            case "Mul", "Div" -> neutral(subject, node, 1);
            case "Pow" -> node.input(0).equals(neutral(subject, node, 1)) ? x : null;
            case "Pad" -> {
                List<Long> pads = Constants.integers(graph, node, "pads", 1);
                yield pads != null && pads.stream().allMatch(p -> p == 0) ? x : null;
            }
            case "Reshape" -> isOfShape(subject, x, node) && !keepsLayout(graph, node) ? x : null;
            case "Squeeze" -> undone(graph, node, "Unsqueeze");
            case "Unsqueeze" -> undone(graph, node, "Squeeze");
            default -> null;
        };
    }

    private static boolean isInference(OnnxGraph graph, OnnxNode node) {
        boolean maskUnused = node.output(1).isEmpty() || isUnread(graph, node.output(1));
        if (node.input(2).isEmpty()) {
            return maskUnused;
        }
        ConstantTensor training = graph.constant(node.input(2));
        boolean drops = training == null || training.toLongs()[0] != 0;
        return maskUnused && (!drops || dropsNothing(graph, node));
    }

    /** Whether the share that is dropped is none, as exporters write attention without dropout. */
    private static boolean dropsNothing(OnnxGraph graph, OnnxNode node) {
        ConstantTensor ratio = graph.constant(node.input(1));
        return ratio != null && ratio.toFloats()[0] == 0;
    }

    private static boolean isUnread(OnnxGraph graph, String value) {
        return graph.readers(value).isEmpty() && !graph.isOutput(value);
    }

    private static boolean isOfType(Subject subject, String value, long code) {
        ElementType type = subject.type(value);
        return type != null && type.code() == code;
    }

    private static boolean hasNoBounds(OnnxNode node) {
        return node.inputs().stream().skip(1).allMatch(String::isEmpty)
                && !node.has("min")
                && !node.has("max");
    }

    private static boolean isInOrder(List<Long> permutation) {
        return !permutation.isEmpty()
                && LongStream.range(0, permutation.size())
                        .allMatch(i -> permutation.get((int) i) == i);
    }

    /** The operand beside a number that changes nothing; numbers of more dimensions add some. */
    private static @Nullable String neutral(Subject subject, OnnxNode node, double number) {
        OnnxGraph graph = subject.graph();
        boolean commutes = node.is("Add") || node.is("Mul");
        for (int i = commutes ? 0 : 1; i < 2 && node.inputs().size() == 2; i++) {
            ConstantTensor constant = graph.constant(node.input(i));
            String other = node.input(1 - i);
            if (constant != null
                    && constant.type() == ElementType.FLOAT
                    && constant.elements() == 1
                    && constant.toFloats()[0] == number
                    && constant.shape().size() <= Math.max(0, subject.rank(other))) {
                return other;
            }
        }
        return null;
    }

    /** Behind it ONNX Runtime moves no transposition, which some resizings don't survive. */
    private static boolean keepsLayout(OnnxGraph graph, OnnxNode node) {
        OnnxNode reader = graph.onlyReader(node.output());
        OnnxNode before = graph.producer(node.input(0));
        return reader != null && reader.is("Resize") && (before == null || !before.is("Reshape"));
    }

    /** Whether a Reshape's result has the shape that its input has, whatever a run decides. */
    private static boolean isOfShape(Subject subject, String x, OnnxNode node) {
        List<Long> shape = Constants.integers(subject.graph(), node, "shape", 1);
        if (shape == null || shape.size() != subject.rank(x) || node.integer("allowzero", 0) != 0) {
            return false;
        }
        int unknown = 0;
        for (int i = 0; i < shape.size(); i++) {
            long wanted = shape.get(i);
            if (wanted == -1) {
                unknown++;
            } else if (wanted != 0 && wanted != subject.extent(x, i)) {
                return false;
            }
        }
        return unknown <= 1;
    }

    /** What a node of the other kind had before it, if this one undoes it. */
    private static @Nullable String undone(OnnxGraph graph, OnnxNode node, String by) {
        OnnxNode first = graph.producer(node.input(0));
        if (first == null || !first.is(by)) {
            return null;
        }
        List<Long> axes = Constants.integers(graph, node, "axes", 1);
        List<Long> others = Constants.integers(graph, first, "axes", 1);
        return axes != null && others != null && new HashSet<>(axes).equals(new HashSet<>(others))
                ? first.input(0)
                : null;
    }

    /** Makes one of a node and the one before it, where both only arrange elements. */
    private static boolean joined(Subject subject, OnnxNode node) {
        OnnxGraph graph = subject.graph();
        OnnxNode first = node.inputs().isEmpty() ? null : graph.producer(node.input(0));
        if (first == null || !first.is(node.op()) || !node.domain().isEmpty()) {
            return false;
        }
        if (node.is("Transpose")) {
            List<Long> inner = first.integers("perm");
            List<Long> outer = node.integers("perm");
            if (inner.isEmpty() || inner.size() != outer.size()) {
                return false;
            }
            var both = new ArrayList<Long>();
            outer.forEach(axis -> both.add(inner.get(axis.intValue())));
            graph.replace(node, node.withInput(0, first.input(0)).with("perm", both));
            return true;
        }
        List<Long> shape = node.is("Reshape") ? Constants.integers(graph, node, "shape", 1) : null;
        if (shape == null || shape.contains(0L)) {
            return false;
        }
        graph.replace(node, node.withInput(0, first.input(0)));
        return true;
    }
}
