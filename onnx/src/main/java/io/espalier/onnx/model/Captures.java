package io.espalier.onnx.model;

import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;

import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Set;

/** What the graphs inside a node read of the graph around it. */
final class Captures {
    private Captures() {}

    /** The outer values that a node's own graphs read, which its inputs don't name. */
    static Set<String> of(OnnxNode node) {
        var captured = new LinkedHashSet<String>();
        node.subgraphs().forEach(graph -> captured.addAll(of(graph)));
        return captured;
    }

    /** The names of all values that are made in a node's own graphs. */
    static Set<String> inside(OnnxNode node) {
        var inside = new HashSet<String>();
        for (GraphProto graph : node.subgraphs()) {
            inside.addAll(ownValues(graph));
            graph.getNodeList().forEach(inner -> inside.addAll(inside(new OnnxNode(inner))));
        }
        return inside;
    }

    private static Set<String> of(GraphProto graph) {
        var own = ownValues(graph);
        var captured = new LinkedHashSet<String>();
        for (NodeProto node : graph.getNodeList()) {
            captured.addAll(node.getInputList());
            captured.addAll(of(new OnnxNode(node)));
        }
        graph.getOutputList().forEach(output -> captured.add(output.getName()));
        captured.removeAll(own);
        captured.remove("");
        return captured;
    }

    private static Set<String> ownValues(GraphProto graph) {
        var own = new HashSet<String>();
        graph.getInputList().stream().map(ValueInfoProto::getName).forEach(own::add);
        graph.getInitializerList().stream().map(TensorProto::getName).forEach(own::add);
        graph.getSparseInitializerList().forEach(s -> own.add(s.getValues().getName()));
        graph.getNodeList().forEach(node -> own.addAll(node.getOutputList()));
        return own;
    }

    /** The node with an outer value read under another name by its graphs. */
    static OnnxNode renamed(OnnxNode node, String from, String to) {
        if (!of(node).contains(from)) {
            return node;
        }
        return new OnnxNode(renamed(node.toProto(), from, to));
    }

    private static NodeProto renamed(NodeProto node, String from, String to) {
        var renamed = node.toBuilder();
        for (int i = 0; i < node.getAttributeCount(); i++) {
            AttributeProto attribute = node.getAttribute(i);
            if (attribute.hasG()) {
                renamed.getAttributeBuilder(i).setG(renamed(attribute.getG(), from, to));
            }
            for (int j = 0; j < attribute.getGraphsCount(); j++) {
                renamed.getAttributeBuilder(i)
                        .setGraphs(j, renamed(attribute.getGraphs(j), from, to));
            }
        }
        return renamed.build();
    }

    private static GraphProto renamed(GraphProto graph, String from, String to) {
        if (ownValues(graph).contains(from)) {
            return graph;
        }
        var renamed = graph.toBuilder();
        for (int i = 0; i < graph.getNodeCount(); i++) {
            NodeProto.Builder node = renamed(graph.getNode(i), from, to).toBuilder();
            for (int j = 0; j < node.getInputCount(); j++) {
                if (node.getInput(j).equals(from)) {
                    node.setInput(j, to);
                }
            }
            renamed.setNode(i, node);
        }
        for (ValueInfoProto.Builder output : renamed.getOutputBuilderList()) {
            if (output.getName().equals(from)) {
                output.setName(to);
            }
        }
        return renamed.build();
    }
}
