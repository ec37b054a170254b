package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;

/**
 * Scales and shifts of channels (BatchNormalization, arithmetic with constants) in the weights and
 * biases of the layers beside them.
 */
final class AffineFolding {
    private AffineFolding() {}

    /** What follows a layer goes into it. */
    static int intoLayerBefore(Subject subject) {
        OnnxGraph graph = subject.graph();
        int changes = 0;
        for (OnnxNode node : graph.nodes()) {
            OnnxNode at = node;
            while (at != null && subject.isThere(at)) {
                at = foldFollowing(subject, at);
                changes += at == null ? 0 : 1;
            }
        }
        return changes;
    }

    /** The layer that has taken in what followed it; null if it hasn't. */
    private static @Nullable OnnxNode foldFollowing(Subject subject, OnnxNode node) {
        WeightedLayer layer = WeightedLayer.of(subject, node);
        OnnxNode next = layer == null ? null : subject.graph().onlyReader(layer.output());
        if (layer == null || next == null) {
            return null;
        }
        Affine affine =
                Affine.of(
                        subject.graph(),
                        next,
                        layer.output(),
                        layer.rank(),
                        layer.axis(),
                        layer.outputs());
        return affine == null || !layer.canFollow(affine) ? null : layer.follow(affine, next);
    }

    /** What all readers of a value can take in goes into them. */
    static int intoLayersAfter(Subject subject) {
        OnnxGraph graph = subject.graph();
        int changes = 0;
        for (OnnxNode node : graph.nodes().reversed()) {
            if (subject.isThere(node) && !graph.isOutput(node.output())) {
                changes += foldPreceding(subject, node) ? 1 : 0;
            }
        }
        return changes;
    }

    private record Folding(WeightedLayer layer, Affine affine, String input) {}

    private static boolean foldPreceding(Subject subject, OnnxNode node) {
        OnnxGraph graph = subject.graph();
        List<OnnxNode> readers = graph.readers(node.output());
        var foldings = new ArrayList<Folding>();
        for (OnnxNode reader : readers) {
            WeightedLayer layer = WeightedLayer.of(subject, reader);
            Folding folding =
                    layer != null && layer.input().equals(node.output())
                            ? folding(graph, node, layer)
                            : null;
            if (folding == null) {
                return false;
            }
            foldings.add(folding);
        }
        foldings.forEach(folding -> folding.layer.precede(folding.affine, folding.input));
        if (!foldings.isEmpty()) {
            graph.remove(node);
        }
        return !foldings.isEmpty();
    }

    private static @Nullable Folding folding(OnnxGraph graph, OnnxNode node, WeightedLayer layer) {
        for (String input : new LinkedHashSet<>(node.inputs())) {
            if (input.isEmpty() || graph.constant(input) != null) {
                continue;
            }
            Affine affine =
                    Affine.of(graph, node, input, layer.rank(), layer.axis(), layer.inputs());
            if (affine != null && layer.canPrecede(affine)) {
                return new Folding(layer, affine, input);
            }
        }
        return null;
    }
}
