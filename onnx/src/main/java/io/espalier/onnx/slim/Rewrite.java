package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Cut;

/**
 * What changes of a node when channels go, because it says how many there are or which it takes.
 */
@FunctionalInterface
interface Rewrite {
    OnnxNode of(OnnxNode node, OnnxGraph graph, Cut choice);
}
