package io.espalier.onnx.lower;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

/** Brings constants into sight, wherever a file has them. */
final class Preparation {
    private Preparation() {}

    static OnnxModel of(OnnxModel model) {
        return model.rewritten(Preparation::fold);
    }

    private static void fold(OnnxGraph graph) {
        for (OnnxNode node : graph.nodes()) {
            ConstantTensor value = null;
            if (node.is("Constant")) {
                value = node.tensor("value");
            } else if (node.is("Identity")) {
                value = graph.constant(node.input(0));
            }
            if (value != null && !graph.isOutput(node.output())) {
                String name = graph.addConstant(node.output(), value);
                graph.replaceReads(node.output(), name);
            }
        }
        graph.removeUnused();
    }
}
