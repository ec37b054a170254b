package io.espalier.onnx.quant;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.QuantizationResult.Layer;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** Layers whose weights are real numbers of other types than 32-bit floats. */
final class OtherFloats {
    private OtherFloats() {}

    /** Layers of a graph with these among them, each with the reason why it stays as it is. */
    static List<Layer> among(List<Layer> layers, OnnxGraph graph) {
        var known = new HashSet<String>();
        layers.forEach(layer -> known.add(layer.name()));
        var all = new ArrayList<>(layers);
        for (OnnxNode node : graph.nodes()) {
            if (KeptFloat.LAYERS.contains(node.op()) && !known.contains(node.name())) {
                otherType(node, graph)
                        .ifPresent(type ->
                                all.add(
                                        new Layer(
                                                node.name(),
                                                node.op(),
                                                Recipe.FLOAT,
                                                "its weights are " + type)));
            }
        }
        return all;
    }

    private static Optional<ElementType> otherType(OnnxNode node, OnnxGraph graph) {
        return node.reads().stream()
                .map(graph::constant)
                .filter(Objects::nonNull)
                .map(ConstantTensor::type)
                .filter(type -> type.isFloating() && type != ElementType.FLOAT)
                .findFirst();
    }
}
