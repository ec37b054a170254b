package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Shapes;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * A layer whose weight can be masked.
 *
 * @param node the first node that reads the weight
 * @param weight where the weight is
 * @param inputs the dimension of what the node reads along which the layer's inputs lie, so that a
 *     sum of products runs along it; negative counts from the last
 */
record PrunableLayer(OnnxNode node, HeldWeight weight, int inputs) {
    /** Where an operator reads a weight, and along which of its dimensions it sums. */
    private record Place(int input, int inputs) {}

    /** All layers of a model outside of graphs inside nodes, each weight once. */
    static List<PrunableLayer> of(OnnxModel model) {
        OnnxGraph graph = model.graph();
        Shapes shapes = Shapes.of(model);
        List<PrunableLayer> layers = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        for (OnnxNode node : graph.nodes()) {
            for (Place place : places(node)) {
                HeldWeight.of(graph, shapes, node.input(place.input()))
                        .filter(weight -> rank(weight) >= 2 && weight.tensor().elements() > 0)
                        .filter(weight -> seen.add(weight.name()))
                        .ifPresent(w -> layers.add(new PrunableLayer(node, w, place.inputs())));
            }
        }
        return layers;
    }

    private static int rank(HeldWeight weight) {
        return weight.tensor().shape().size();
    }

    private static List<Place> places(OnnxNode node) {
        boolean known = node.domain().isEmpty() || node.domain().equals(OnnxNode.MICROSOFT);
        return known ? placesOf(node) : List.of();
    }

    private static List<Place> placesOf(OnnxNode node) {
        return switch (node.op()) {
            case "Conv", "FusedConv" -> List.of(new Place(1, 1));
            case "ConvTranspose" -> List.of(new Place(1, 0));
            case "MatMul", "FusedMatMul", "Gemm", "FusedGemm" ->
                    List.of(
                            new Place(1, node.integer("transB", 0) == 0 ? -2 : -1),
                            new Place(0, node.integer("transA", 0) == 0 ? -1 : -2));
            case "LSTM", "GRU", "RNN" -> List.of(new Place(1, 2), new Place(2, 2));
            default -> List.of();
        };
    }

    String name() {
        return node.name();
    }
}
