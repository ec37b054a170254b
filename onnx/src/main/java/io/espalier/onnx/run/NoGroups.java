package io.espalier.onnx.run;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.tensor.EspalierException;

import java.util.List;

/**
 * Transposed convolutions of 0 groups, by which ONNX Runtime divides the channels without a look:
 * the processor stops the process.
 */
final class NoGroups {
    private NoGroups() {}

    /**
     * Refuses a model with such a convolution.
     *
     * @throws EspalierException with its node
     */
    static void requireNone(OnnxModel model) {
        model.graph().nodes().forEach(NoGroups::require);
        model.functions().forEach(function -> require(function.getNodeList()));
    }

    private static void require(List<NodeProto> nodes) {
        nodes.forEach(node -> require(OnnxNode.of(node)));
    }

    private static void require(OnnxNode node) {
        if (node.is("ConvTranspose") && node.integer("group", 1) == 0) {
            throw new EspalierException(
                    "The node '%s' convolves in 0 groups, at which ONNX Runtime ends the whole process; mend the model."
                            .formatted(node.name()));
        }
        for (GraphProto inner : node.subgraphs()) {
            require(inner.getNodeList());
        }
    }
}
