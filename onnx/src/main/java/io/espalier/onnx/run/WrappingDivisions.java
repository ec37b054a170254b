package io.espalier.onnx.run;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.FunctionCalls;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.shape.Shapes;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/**
 * Divisions of integers as two's complement has them: the least integer divided by -1 is itself,
 * and nothing remains. ONNX Runtime leaves that quotient, which no integer holds, to the processor,
 * which stops the process. Where neither the divisor nor what is divided is a constant without it,
 * the least integer is divided by 1 instead.
 */
final class WrappingDivisions {
    private final OnnxModel model;
    private final OnnxGraph graph;
    private @Nullable Shapes shapes;
    private int count;

    private WrappingDivisions(OnnxModel model) {
        this.model = model;
        this.graph = model.graph();
    }

    /** The model for the runtime; itself if nothing in it is divided so. */
    static OnnxModel of(OnnxModel model) {
        boolean inFunctions =
                model.functions().stream().anyMatch(function -> divide(function.getNodeList()));
        if (!inFunctions && !divide(protos(model.graph().nodes()))) {
            return model;
        }
        OnnxModel plain = inFunctions ? FunctionCalls.inline(model).model() : model;
        var divisions = new WrappingDivisions(plain);
        OnnxModel wrapping = plain.rewritten(divisions::rewrite);
        return plain.hasFunctions()
                ? wrapping.withFunctions(
                        plain.functions().stream().map(divisions::rewritten).toList())
                : wrapping;
    }

    private static List<NodeProto> protos(List<OnnxNode> nodes) {
        return nodes.stream().map(OnnxNode::toProto).toList();
    }

    private static boolean divide(List<NodeProto> protos) {
        return protos.stream()
                .map(OnnxNode::of)
                .anyMatch(node ->
                        divides(node)
                                || node.subgraphs().stream()
                                        .anyMatch(inner -> divide(inner.getNodeList())));
    }

    private static boolean divides(OnnxNode node) {
        boolean integers = node.is("Div") || (node.is("Mod") && node.integer("fmod", 0) == 0);
        return integers && node.inputs().size() == 2;
    }

    private void rewrite(OnnxGraph copy) {
        var known = new KnownIntegers(copy);
        for (OnnxNode node : copy.nodes()) {
            if (divide(List.of(node.toProto()))) {
                List<NodeProto> by = rewritten(node.toProto(), known, model.opset(), true);
                copy.replace(node, by.stream().map(OnnxNode::of).toArray(OnnxNode[]::new));
            }
        }
    }

    private FunctionProto rewritten(FunctionProto function) {
        long opset =
                function.getOpsetImportList().stream()
                        .filter(id -> id.getDomain().isEmpty() || id.getDomain().equals("ai.onnx"))
                        .mapToLong(id -> id.getVersion())
                        .findFirst()
                        .orElse(model.opset());
        List<NodeProto> nodes = function.getNodeList();
        List<NodeProto> by = rewritten(nodes, new KnownIntegers(nodes), opset, false);
        return function.toBuilder().clearNode().addAllNode(by).build();
    }

    /**
     * @param typed whether types of what the nodes read may be known
     */
    private List<NodeProto> rewritten(
            List<NodeProto> nodes, KnownIntegers known, long opset, boolean typed) {
        var all = new ArrayList<NodeProto>();
        nodes.forEach(node -> all.addAll(rewritten(node, known, opset, typed)));
        return all;
    }

    /** The nodes in the place of one, which is the last of them. */
    private List<NodeProto> rewritten(
            NodeProto proto, KnownIntegers known, long opset, boolean typed) {
        OnnxNode node = OnnxNode.of(proto);
        if (node.subgraphs().stream().anyMatch(inner -> divide(inner.getNodeList()))) {
            return List.of(withinGraphs(proto, known, opset, typed));
        }
        if (!divides(node) || known.neverMeet(node)) {
            return List.of(proto);
        }
        ElementType type = known.type(node);
        if (type == null && typed) {
            type = shapes().divided(node);
        }
        String like = graph.freshName("wrapping_" + ++count);
        if (type == null && opset >= DivisorNodes.LEAST_OPSET) {
            return DivisorNodes.ofAnyType(node, like);
        }
        boolean stops = type == ElementType.INT32 || type == ElementType.INT64;
        return type == null || !stops ? List.of(proto) : DivisorNodes.of(node, type, like);
    }

    private NodeProto withinGraphs(
            NodeProto proto, KnownIntegers known, long opset, boolean typed) {
        NodeProto.Builder node = proto.toBuilder();
        for (int i = 0; i < proto.getAttributeCount(); i++) {
            AttributeProto attribute = proto.getAttribute(i);
            if (attribute.hasG()) {
                node.getAttributeBuilder(i).setG(within(attribute.getG(), known, opset, typed));
            }
            for (int j = 0; j < attribute.getGraphsCount(); j++) {
                GraphProto inner = attribute.getGraphs(j);
                node.getAttributeBuilder(i).setGraphs(j, within(inner, known, opset, typed));
            }
        }
        return node.build();
    }

    private GraphProto within(GraphProto inner, KnownIntegers outer, long opset, boolean typed) {
        List<NodeProto> nodes = rewritten(inner.getNodeList(), outer.within(inner), opset, typed);
        return inner.toBuilder().clearNode().addAllNode(nodes).build();
    }

    private Shapes shapes() {
        if (shapes == null) {
            shapes = Shapes.of(model);
        }
        return shapes;
    }
}
