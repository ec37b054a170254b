package io.espalier.onnx.lower;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the weights of a lowered model were made of.
 *
 * @param prepared the file's model as it was lowered: its constants in sight, nothing folded into
 *     them
 * @param layers by the path of a layer in the module, the node whose constants it has as parameters
 * @param tensors by the path of a parameter that stands by itself, the name of the constant that it
 *     is
 */
public record LoweredWeights(
        OnnxModel prepared, Map<String, OnnxNode> layers, Map<String, String> tensors) {
    /** Copies the maps. */
    public LoweredWeights {
        layers = Collections.unmodifiableMap(new LinkedHashMap<>(layers));
        tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
    }
}
