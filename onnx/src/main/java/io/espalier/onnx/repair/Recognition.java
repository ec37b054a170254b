package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.repair.Activations.Found;

import org.jspecify.annotations.Nullable;

import java.util.List;

/** Operators of the standard, or of the runtime, in the place of what spells them out. */
final class Recognition {
    static final long HARD_SWISH_SINCE = 14;
    static final long LAYER_NORMALIZATION_SINCE = 17;
    private static final long GELU_SINCE = 20;

    private Recognition() {}

    /** How a node is seen to be the heart of an activation. */
    @FunctionalInterface
    interface Finder {
        @Nullable Found find(OnnxGraph graph, OnnxNode node);
    }

    static int hardSwish(Subject subject) {
        return subject.opset() < HARD_SWISH_SINCE
                ? 0
                : replaceAll(subject, Activations::hardSwish, found -> of("HardSwish", found));
    }

    static int sigmoid(Subject subject) {
        OnnxGraph graph = subject.graph();
        int changes = 0;
        for (OnnxNode node : graph.nodes()) {
            Found found = subject.isThere(node) ? Activations.sigmoid(graph, node) : null;
            if (found == null) {
                continue;
            }
            OnnxNode last = found.last();
            if (last.is("Div") && last.input(0).equals(found.x())) {
                String gate = graph.freshName(last.output() + "_gate");
                graph.replace(
                        last,
                        OnnxNode.of("Sigmoid", List.of(found.x()), gate),
                        OnnxNode.of("Mul", List.of(found.x(), gate), last.output()));
            } else {
                graph.replace(last, of("Sigmoid", found));
            }
            changes++;
        }
        return changes;
    }

    static int gelu(Subject subject) {
        boolean standard = subject.opset() >= GELU_SINCE;
        return replaceAll(
                        subject,
                        Activations::gelu,
                        found -> standard ? of("Gelu", found) : microsoft("Gelu", found))
                + replaceAll(
                        subject,
                        Activations::tanhGelu,
                        found ->
                                standard
                                        ? of("Gelu", found).with("approximate", "tanh")
                                        : microsoft("FastGelu", found));
    }

    /** Whether something is spelled out that this finds. */
    static boolean finds(OnnxGraph graph, Finder finder) {
        return graph.nodes().stream().anyMatch(node -> finder.find(graph, node) != null);
    }

    private interface Maker {
        OnnxNode make(Found found);
    }

    private static int replaceAll(Subject subject, Finder finder, Maker maker) {
        OnnxGraph graph = subject.graph();
        int changes = 0;
        for (OnnxNode node : graph.nodes()) {
            Found found = subject.isThere(node) ? finder.find(graph, node) : null;
            if (found != null) {
                graph.replace(found.last(), maker.make(found));
                changes++;
            }
        }
        return changes;
    }

    private static OnnxNode of(String op, Found found) {
        return OnnxNode.of(op, List.of(found.x()), found.last().output());
    }

    private static OnnxNode microsoft(String op, Found found) {
        return OnnxNode.of(
                OnnxNode.MICROSOFT, op, List.of(found.x()), List.of(found.last().output()));
    }
}
