package io.espalier.onnx.model;

import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Nodes of a function or a branch as nodes of the graph, whose values get names of their own. */
public final class Transplant {
    private final OnnxGraph graph;
    private final String prefix;
    private final Map<String, AttributeProto> attributes;
    private final Set<String> nodeNames;
    private final Set<String> used = new HashSet<>();

    /**
     * Nodes on their way into a graph.
     *
     * @param prefix how new names begin
     * @param attributes what a function's nodes may refer to
     * @param nodeNames names that the graph's nodes have, to which those of these nodes are added
     */
    public Transplant(
            OnnxGraph graph,
            String prefix,
            Map<String, AttributeProto> attributes,
            Set<String> nodeNames) {
        this.graph = graph;
        this.prefix = prefix;
        this.attributes = attributes;
        this.nodeNames = nodeNames;
    }

    /** The names of a graph's nodes, as a set that may grow. */
    public static Set<String> nodeNames(OnnxGraph graph) {
        Set<String> names = new HashSet<>();
        graph.nodes().forEach(node -> names.add(node.toProto().getName()));
        return names;
    }

    /**
     * The nodes under new names.
     *
     * @param names of values that have one here already; those of all others are added
     */
    public List<OnnxNode> nodes(List<NodeProto> inner, Map<String, String> names) {
        inner.forEach(each -> name(each.getOutputList(), names));
        return inner.stream()
                .map(each ->
                        OnnxNode.of(
                                renamed(each, names).toBuilder()
                                        .setName(nodeName(each.getName()))
                                        .build()))
                .toList();
    }

    /** A name that no other node has; none for a node without one, which its results name. */
    private String nodeName(String inner) {
        if (inner.isEmpty()) {
            return "";
        }
        String name = prefix + "/" + inner;
        for (int i = 1; !nodeNames.add(name); i++) {
            name = prefix + "/" + inner + "_" + i;
        }
        return name;
    }

    private void name(List<String> values, Map<String, String> names) {
        for (String value : values) {
            if (!value.isEmpty()) {
                names.computeIfAbsent(value, v -> fresh(prefix + "/" + v));
            }
        }
    }

    private String fresh(String like) {
        String name = graph.freshName(like);
        while (!used.add(name)) {
            name = graph.freshName(name + "_");
        }
        return name;
    }

    private NodeProto renamed(NodeProto inner, Map<String, String> names) {
        NodeProto.Builder renamed = inner.toBuilder().clearAttribute();
        for (int i = 0; i < inner.getInputCount(); i++) {
            renamed.setInput(i, named(inner.getInput(i), names));
        }
        for (int i = 0; i < inner.getOutputCount(); i++) {
            renamed.setOutput(i, named(inner.getOutput(i), names));
        }
        for (AttributeProto attribute : inner.getAttributeList()) {
            AttributeProto value = value(attribute, names);
            if (value != null) {
                renamed.addAttribute(value);
            }
        }
        return renamed.build();
    }

    private static String named(String value, Map<String, String> names) {
        return names.getOrDefault(value, value);
    }

    /** An attribute as it is here; null if it is the caller's, who does not give it. */
    private @Nullable AttributeProto value(AttributeProto attribute, Map<String, String> names) {
        if (!attribute.getRefAttrName().isEmpty()) {
            AttributeProto given = attributes.get(attribute.getRefAttrName());
            return given == null ? null : given.toBuilder().setName(attribute.getName()).build();
        }
        AttributeProto.Builder value = attribute.toBuilder();
        if (attribute.hasG()) {
            value.setG(branch(attribute.getG(), names));
        }
        for (int i = 0; i < attribute.getGraphsCount(); i++) {
            value.setGraphs(i, branch(attribute.getGraphs(i), names));
        }
        return value.build();
    }

    /** A graph inside, whose values get names that nothing around it has. */
    private GraphProto branch(GraphProto inner, Map<String, String> outer) {
        var own = new HashMap<String, String>();
        name(inner.getInputList().stream().map(ValueInfoProto::getName).toList(), own);
        name(inner.getInitializerList().stream().map(TensorProto::getName).toList(), own);
        inner.getSparseInitializerList()
                .forEach(sparse -> name(List.of(sparse.getValues().getName()), own));
        inner.getNodeList().forEach(each -> name(each.getOutputList(), own));
        var names = new HashMap<>(outer);
        names.putAll(own);
        GraphProto.Builder renamed = inner.toBuilder().clearValueInfo();
        renamed.getInputBuilderList().forEach(i -> i.setName(named(i.getName(), names)));
        renamed.getInitializerBuilderList().forEach(i -> i.setName(named(i.getName(), names)));
        renamed.getSparseInitializerBuilderList()
                .forEach(sparse ->
                        sparse.getValuesBuilder()
                                .setName(named(sparse.getValues().getName(), names)));
        renamed.getOutputBuilderList().forEach(o -> o.setName(named(o.getName(), names)));
        for (int i = 0; i < inner.getNodeCount(); i++) {
            renamed.setNode(i, renamed(inner.getNode(i), names));
        }
        return renamed.build();
    }
}
