package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Short names for what quantization added to a graph: a small network's scales and codes have names
 * of more bytes than they are. What the graph had before keeps its names.
 */
final class ShortNames {
    private final OnnxGraph graph;
    private final OnnxGraph before;
    private final Map<String, String> names = new HashMap<>();
    private int count;

    private ShortNames(OnnxGraph graph, OnnxGraph before) {
        this.graph = graph;
        this.before = before;
    }

    /**
     * A model with short names, which names no domain for the runtime's own operators if it calls
     * none.
     *
     * @param before the graph whose names are kept
     */
    static OnnxModel in(OnnxModel model, OnnxGraph before) {
        return model.rewritten(graph -> new ShortNames(graph, before).apply())
                .withoutUnusedOpset(OnnxNode.MICROSOFT);
    }

    private void apply() {
        new LinkedHashMap<>(graph.constants())
                .forEach((name, constant) -> {
                    if (mayChange(name)) {
                        names.put(name, graph.addConstant(fresh(), constant));
                    }
                });
        List<OnnxNode> nodes = graph.nodes();
        for (OnnxNode node : nodes) {
            for (String output : node.outputs()) {
                if (!output.isEmpty() && mayChange(output)) {
                    names.put(output, fresh());
                }
            }
        }
        Set<String> known = before.nodes().stream().map(OnnxNode::name).collect(Collectors.toSet());
        for (OnnxNode node : new ArrayList<>(nodes)) {
            graph.replace(
                    node,
                    node.withInputs(renamed(node.inputs()))
                            .withOutputs(renamed(node.outputs()))
                            .withName(known.contains(node.name()) ? node.name() : ""));
        }
        graph.removeUnused();
    }

    /** Graphs inside nodes may read a value too, by the name that it has. */
    private boolean mayChange(String value) {
        return !before.has(value)
                && !graph.isOutput(value)
                && !graph.isInput(value)
                && graph.readers(value).stream().allMatch(node -> node.subgraphs().isEmpty());
    }

    private String fresh() {
        String name;
        do {
            name = "q" + Integer.toString(count++, Character.MAX_RADIX);
        } while (graph.has(name) || before.has(name) || !graph.freshName(name).equals(name));
        return name;
    }

    private List<String> renamed(List<String> values) {
        return values.stream().map(value -> names.getOrDefault(value, value)).toList();
    }
}
