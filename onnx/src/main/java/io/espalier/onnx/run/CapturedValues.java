package io.espalier.onnx.run;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.util.Set;

/**
 * Values that graphs within nodes read from around them. What makes floats of integers ONNX Runtime
 * moves past some operators, down to who reads their results; where that is a graph within a node,
 * it ends the process.
 */
public final class CapturedValues {
    private static final Set<String> PASSED =
            Set.of(
                    "MaxPool",
                    "Reshape",
                    "Transpose",
                    "Squeeze",
                    "Unsqueeze",
                    "Flatten",
                    "Slice",
                    "Identity");

    private CapturedValues() {}

    /** Whether a graph within a node reads the value, or what such operators make of it. */
    public static boolean reach(OnnxGraph graph, String value) {
        return graph.readers(value).stream().anyMatch(reader -> reaches(graph, reader));
    }

    private static boolean reaches(OnnxGraph graph, OnnxNode reader) {
        return !reader.subgraphs().isEmpty()
                || (PASSED.contains(reader.op()) && reach(graph, reader.output()));
    }

    /** Whether floats that are made of integers reach one. */
    static boolean areOfIntegers(OnnxModel model) {
        OnnxGraph graph = model.graph();
        return graph.nodes().stream()
                .anyMatch(node ->
                        node.op().equals("DequantizeLinear") && reach(graph, node.output()));
    }
}
