package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.repair.Rewrite.Outcome;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Calls of functions that stand in the file, replaced by the nodes that the functions consist of.
 */
final class FunctionCalls {
    /** Functions that call functions grow fast; no exporter's come near it. */
    private static final int MOST_NODES = 200_000;

    private final OnnxGraph graph;
    private final Map<String, FunctionProto> functions = new LinkedHashMap<>();

    private FunctionCalls(OnnxModel model) {
        this.graph = model.graph();
        model.functions().forEach(function -> functions.put(key(function), function));
    }

    /** Replaces all calls, or none: some within branches and loops stay as they are, with all. */
    static Outcome inline(OnnxModel model) {
        if (!model.hasFunctions()) {
            return new Outcome(model, 0);
        }
        OnnxModel called = model;
        for (FunctionProto function : model.functions()) {
            for (OperatorSetIdProto id : function.getOpsetImportList()) {
                Long known = called.opsets().get(id.getDomain());
                if (known == null) {
                    called = called.withOpset(id.getDomain(), id.getVersion());
                } else if (known != id.getVersion() && !isOwn(model, id.getDomain())) {
                    return new Outcome(model, 0);
                }
            }
        }
        called = called.copy();
        int changes = new FunctionCalls(called).inline();
        return changes == 0
                ? new Outcome(model, 0)
                : new Outcome(called.withoutFunctions(), changes);
    }

    private static boolean isOwn(OnnxModel model, String domain) {
        return model.functions().stream().allMatch(f -> f.getDomain().equals(domain));
    }

    /** How many calls were replaced; 0 if one can't be, and the graph is not to be used then. */
    private int inline() {
        int changes = 0;
        boolean found = true;
        while (found) {
            found = false;
            for (OnnxNode node : graph.nodes()) {
                FunctionProto function = functions.get(key(node.toProto()));
                if (function != null) {
                    graph.replace(node, new Call(node, function).body());
                    found = true;
                    changes++;
                } else if (callsInside(node)) {
                    return 0;
                }
                if (changes > MOST_NODES) {
                    return 0;
                }
            }
            if (graph.nodes().size() > MOST_NODES) {
                return 0;
            }
        }
        return changes;
    }

    private boolean callsInside(OnnxNode node) {
        return node.subgraphs().stream()
                .flatMap(inner -> inner.getNodeList().stream())
                .anyMatch(inner ->
                        functions.containsKey(key(inner)) || callsInside(OnnxNode.of(inner)));
    }

    private static String key(FunctionProto function) {
        return function.getDomain() + ":" + function.getName() + ":" + function.getOverload();
    }

    private static String key(NodeProto node) {
        return node.getDomain() + ":" + node.getOpType() + ":" + node.getOverload();
    }

    private String fresh(String like, Set<String> used) {
        String name = graph.freshName(like);
        while (!used.add(name)) {
            name = graph.freshName(name + "_");
        }
        return name;
    }

    /** One call: the names that the function's values have here, and its attributes' values. */
    private final class Call {
        private final OnnxNode node;
        private final FunctionProto function;
        private final Set<String> used = new HashSet<>();
        private final Map<String, AttributeProto> attributes = new HashMap<>();

        Call(OnnxNode node, FunctionProto function) {
            this.node = node;
            this.function = function;
            function.getAttributeProtoList().forEach(a -> attributes.put(a.getName(), a));
            node.attributes().forEach(a -> attributes.put(a.getName(), a));
        }

        OnnxNode[] body() {
            var names = new HashMap<String, String>();
            for (int i = 0; i < function.getInputCount(); i++) {
                names.put(function.getInput(i), node.input(i));
            }
            var nodes = new ArrayList<OnnxNode>();
            for (int i = 0; i < function.getOutputCount(); i++) {
                String output = function.getOutput(i);
                String here = node.output(i);
                if (names.containsKey(output) && !here.isEmpty()) {
                    // What it gives as it was given needs a node to have the name that is read.
                    nodes.add(
                            OnnxNode.of("Identity", List.of(names.getOrDefault(output, "")), here));
                } else if (!here.isEmpty()) {
                    names.put(output, here);
                }
            }
            function.getNodeList().forEach(inner -> name(inner.getOutputList(), names));
            for (NodeProto inner : function.getNodeList()) {
                NodeProto.Builder renamed = renamed(inner, names).toBuilder();
                nodes.add(
                        OnnxNode.of(renamed.setName(node.name() + "/" + inner.getName()).build()));
            }
            return nodes.toArray(OnnxNode[]::new);
        }

        private void name(List<String> values, Map<String, String> names) {
            for (String value : values) {
                if (!value.isEmpty()) {
                    names.computeIfAbsent(value, v -> fresh(node.name() + "/" + v, used));
                }
            }
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
        private @Nullable AttributeProto value(
                AttributeProto attribute, Map<String, String> names) {
            if (!attribute.getRefAttrName().isEmpty()) {
                AttributeProto given = attributes.get(attribute.getRefAttrName());
                return given == null
                        ? null
                        : given.toBuilder().setName(attribute.getName()).build();
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
            var names = new HashMap<>(outer);
            var own = new HashMap<String, String>();
            name(inner.getInputList().stream().map(ValueInfoProto::getName).toList(), own);
            name(inner.getInitializerList().stream().map(TensorProto::getName).toList(), own);
            inner.getSparseInitializerList()
                    .forEach(sparse -> name(List.of(sparse.getValues().getName()), own));
            inner.getNodeList().forEach(each -> name(each.getOutputList(), own));
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
}
