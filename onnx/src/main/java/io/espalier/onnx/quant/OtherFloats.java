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

/** Layers that no search looks at: those kept float, and those whose weights are other floats. */
final class OtherFloats {
    private OtherFloats() {}

    /** Layers of a graph with these among them, each with the reason why it stays as it is. */
    static List<Layer> among(List<Layer> layers, OnnxGraph graph, QuantizationSettings settings) {
        var known = new HashSet<String>();
        layers.forEach(layer -> known.add(layer.name()));
        var all = new ArrayList<>(layers);
        for (OnnxNode node : graph.nodes()) {
            if (KeptFloat.LAYERS.contains(node.op()) && !known.contains(node.name())) {
                weightType(node, graph)
                        .flatMap(type -> why(type, settings.keepsFloat(node)))
                        .ifPresent(why ->
                                all.add(new Layer(node.name(), node.op(), Recipe.FLOAT, why)));
            }
        }
        return all;
    }

    private static Optional<String> why(ElementType type, boolean kept) {
        if (kept) {
            return Optional.of("as asked");
        }
        return type == ElementType.FLOAT
                ? Optional.empty()
                : Optional.of("its weights are " + type);
    }

    private static Optional<ElementType> weightType(OnnxNode node, OnnxGraph graph) {
        return node.reads().stream()
                .map(graph::constant)
                .filter(Objects::nonNull)
                .map(ConstantTensor::type)
                .filter(ElementType::isFloating)
                .findFirst();
    }
}
