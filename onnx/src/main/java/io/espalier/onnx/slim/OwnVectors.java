package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.util.List;

/**
 * Each layer its own bias and scale: exporters keep equal ones once, though the layers have nothing
 * to do with each other. Matrices that are shared stay tied.
 */
final class OwnVectors {
    private OwnVectors() {}

    static OnnxModel of(OnnxModel model) {
        return model.rewritten(graph ->
                List.copyOf(graph.constants().keySet()).forEach(name -> give(graph, name)));
    }

    private static void give(OnnxGraph graph, String name) {
        ConstantTensor constant = graph.constant(name);
        if (constant == null || !isVector(constant) || graph.isOutput(name)) {
            return;
        }
        List<OnnxNode> readers = graph.readers(name);
        for (int i = 1; i < readers.size(); i++) {
            OnnxNode reader = readers.get(i);
            if (reader.subgraphs().isEmpty()) {
                String own = graph.addConstant(name, constant);
                graph.replace(
                        reader,
                        reader.withInputs(
                                reader.inputs().stream()
                                        .map(input -> input.equals(name) ? own : input)
                                        .toList()));
            }
        }
    }

    private static boolean isVector(ConstantTensor constant) {
        long longest = constant.shape().stream().mapToLong(Long::longValue).max().orElse(1);
        return constant.type().isFloating() && longest > 1 && longest == constant.elements();
    }
}
