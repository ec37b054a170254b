package io.espalier.onnx.quant;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.QuantizationResult.Layer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;

/** Layers that are computed in floats, of weights that are kept in bytes. */
final class StoredLayers {
    private StoredLayers() {}

    /** Layers of a model with those of which that is so: they say it, and none is missing. */
    static List<Layer> among(List<Layer> layers, OnnxGraph graph) {
        var stored = new LinkedHashMap<String, OnnxNode>();
        for (OnnxNode node : graph.nodes()) {
            if (node.reads().stream().anyMatch(read -> isStored(read, graph))) {
                stored.put(node.name(), node);
            }
        }
        var all = new ArrayList<Layer>();
        for (Layer layer : layers) {
            boolean isStored = stored.remove(layer.name()) != null;
            all.add(
                    isStored && layer.precision().equals(Recipe.FLOAT)
                            ? layer.in(Recipe.STORED, layer.why())
                            : layer);
        }
        stored.forEach((name, node) ->
                all.add(new Layer(name, node.op(), Recipe.STORED, "computed in floats")));
        return all;
    }

    private static boolean isStored(String value, OnnxGraph graph) {
        OnnxNode product = graph.producer(value);
        OnnxNode cast =
                product == null || !product.is("Mul") ? null : graph.producer(product.input(0));
        ConstantTensor codes =
                cast == null || !cast.is("Cast") ? null : graph.constant(cast.input(0));
        return codes != null && codes.type() == ElementType.INT8;
    }
}
