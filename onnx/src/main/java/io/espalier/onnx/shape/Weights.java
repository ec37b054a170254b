package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.TensorProto;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The constants of a graph, wherever they hide, and who computes with them. */
final class Weights {
    /** What gives a weight on, in another form. */
    private static final Set<String> FORMS =
            Set.of(
                    "Identity",
                    "Cast",
                    "Reshape",
                    "Squeeze",
                    "Unsqueeze",
                    "Flatten",
                    "Transpose",
                    "DequantizeLinear");

    /** By the name of a value that is a constant in any form, the name of the constant. */
    private final Map<String, String> origins = new HashMap<>();

    private final Map<String, ConstantTensor> constants = new HashMap<>();

    Weights(OnnxGraph graph) {
        constants.putAll(graph.constants());
        constants.keySet().forEach(name -> origins.put(name, name));
        for (OnnxNode node : graph.nodes()) {
            ConstantTensor value = node.is("Constant") ? Constants.ofOrNull(node) : null;
            if (value != null) {
                constants.put(node.output(), value);
                origins.put(node.output(), node.output());
            } else if (isForm(node)) {
                origins.put(node.output(), origins.getOrDefault(node.input(0), ""));
            }
        }
    }

    private boolean isForm(OnnxNode node) {
        return FORMS.contains(node.op()) && origins.containsKey(node.input(0));
    }

    /** All constants but those of graphs inside nodes. */
    Iterable<ConstantTensor> all() {
        return constants.values();
    }

    /** The weights that a node computes with, by the names of the constants. */
    List<String> readBy(OnnxNode node) {
        var read = new ArrayList<String>();
        for (int place = isForm(node) ? 1 : 0; place < node.inputs().size(); place++) {
            String origin = origins.getOrDefault(node.input(place), "");
            ConstantTensor constant = constants.get(origin);
            if (constant != null && isWeight(constant.type(), constant.shape())) {
                read.add(origin);
            }
        }
        return read;
    }

    private static boolean isWeight(ElementType type, List<Long> shape) {
        return !shape.isEmpty()
                && switch (type) {
                    case INT64, UINT64, BOOL, STRING -> false;
                    default -> true;
                };
    }

    /** The elements of a constant. */
    long elements(String name) {
        ConstantTensor constant = constants.get(name);
        return constant == null ? 0 : constant.elements();
    }

    /** The elements of the weights of graphs inside a node. */
    long inside(OnnxNode node) {
        return node.subgraphs().stream().mapToLong(Weights::inside).sum();
    }

    private static long inside(GraphProto graph) {
        long sum = 0;
        for (TensorProto tensor : graph.getInitializerList()) {
            int code = tensor.getDataType();
            if (code >= 1
                    && code <= ElementType.values().length
                    && isWeight(ElementType.of(code), tensor.getDimsList())) {
                sum = NodeCost.saturatedSum(sum, NodeCost.saturatedProduct(tensor.getDimsList()));
            }
        }
        for (var node : graph.getNodeList()) {
            sum += OnnxNode.of(node).subgraphs().stream().mapToLong(Weights::inside).sum();
        }
        return sum;
    }
}
