package io.espalier.onnx.model;

import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Calls of functions that stand in the file, replaced by the nodes that the functions consist of.
 */
public final class FunctionCalls {
    /**
     * A model without its functions.
     *
     * @param calls how many calls were replaced; 0 if it is the model as it was
     */
    public record Inlined(OnnxModel model, int calls) {}

    private final OnnxGraph graph;
    private final Map<String, FunctionProto> functions = new LinkedHashMap<>();
    private final Set<String> nodeNames;

    private FunctionCalls(OnnxModel model) {
        this.graph = model.graph();
        this.nodeNames = Transplant.nodeNames(graph);
        model.functions().forEach(function -> functions.put(key(function), function));
    }

    /**
     * Replaces all calls, or none: some within branches and loops stay as they are, with all.
     *
     * @throws EspalierException if the calls stand for more nodes than anybody writes down
     */
    public static Inlined inline(OnnxModel model) {
        if (!model.hasFunctions()) {
            return new Inlined(model, 0);
        }
        FunctionSizes.requireBounded(model);
        OnnxModel called = model;
        for (FunctionProto function : model.functions()) {
            for (OperatorSetIdProto id : function.getOpsetImportList()) {
                Long known = called.opsets().get(id.getDomain());
                if (known == null) {
                    called = called.withOpset(id.getDomain(), id.getVersion());
                } else if (known != id.getVersion() && !isOwn(model, id.getDomain())) {
                    return new Inlined(model, 0);
                }
            }
        }
        called = called.copy();
        int changes = new FunctionCalls(called).inline();
        return changes == 0
                ? new Inlined(model, 0)
                : new Inlined(called.withoutFunctions(), changes);
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
                    graph.replace(node, body(node, function));
                    found = true;
                    changes++;
                } else if (callsInside(node)) {
                    return 0;
                }
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

    static String key(FunctionProto function) {
        return function.getDomain() + ":" + function.getName() + ":" + function.getOverload();
    }

    static String key(NodeProto node) {
        return node.getDomain() + ":" + node.getOpType() + ":" + node.getOverload();
    }

    /** The nodes that a call stands for. */
    private OnnxNode[] body(OnnxNode node, FunctionProto function) {
        var attributes = new HashMap<String, AttributeProto>();
        function.getAttributeProtoList().forEach(a -> attributes.put(a.getName(), a));
        node.attributes().forEach(a -> attributes.put(a.getName(), a));
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
                nodes.add(OnnxNode.of("Identity", List.of(names.getOrDefault(output, "")), here));
            } else if (!here.isEmpty()) {
                names.put(output, here);
            }
        }
        nodes.addAll(
                new Transplant(graph, node.name(), attributes, nodeNames)
                        .nodes(function.getNodeList(), names));
        return nodes.toArray(OnnxNode[]::new);
    }
}
