package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.nn.BatchNorm;
import io.espalier.nn.Module;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Makes a layer that is called several times one for each call: what comes in, and what follows,
 * differ. The second call of {@code head} is that of {@code head#2}, of the same tensors. Where the
 * graph also reads a layer's tensors by themselves, already the first call is one of {@code
 * head#1}, and {@code head} keeps what is read.
 */
final class SeparateCalls {
    private static final char CALL = '#';

    private SeparateCalls() {}

    static GraphModule apply(GraphModule model) {
        Map<String, Module> modules = new LinkedHashMap<>(model.modules());
        Set<String> read = ownersRead(model.graph());
        Map<String, Integer> calls = new HashMap<>();
        List<Node> nodes = new ArrayList<>();
        for (Node node : model.graph().nodes()) {
            if (node instanceof ModuleCall call && isLayer(modules.get(call.path()))) {
                int number = calls.merge(call.path(), 1, Integer::sum);
                if (number > 1 || read.contains(call.path())) {
                    Module layer = Objects.requireNonNull(modules.get(call.path()));
                    String own = call.path() + CALL + number;
                    modules.put(own, layer.alias());
                    nodes.add(new ModuleCall(own, call.inputs(), call.results()));
                    continue;
                }
            }
            nodes.add(node);
        }
        Graph graph = model.graph();
        return new GraphModule(graph.withNodes(nodes), modules);
    }

    private static boolean isLayer(@Nullable Module module) {
        return ChainJoining.isAnchor(module)
                || SmallWeights.isFor(module)
                || module instanceof BatchNorm;
    }

    private static Set<String> ownersRead(Graph graph) {
        return graph.nodes().stream()
                .filter(Node.StateRead.class::isInstance)
                .map(read -> ((Node.StateRead) read).owner())
                .collect(Collectors.toSet());
    }

    /**
     * The place among those of the model's layers that a path, which may be a call's, stands for.
     */
    static String placeOf(String path, Set<String> places) {
        int call = path.lastIndexOf(CALL);
        return call < 0 || places.contains(path) ? path : path.substring(0, call);
    }

    /** What is known of layers, for each call of theirs. */
    static <T> Map<String, T> ofCalls(GraphModule model, Map<String, T> byLayer) {
        Map<String, T> found = new LinkedHashMap<>();
        for (Node node : model.graph().nodes()) {
            if (node instanceof ModuleCall call) {
                T known = byLayer.get(placeOf(call.path(), byLayer.keySet()));
                if (known != null) {
                    found.put(call.path(), known);
                }
            }
        }
        return found;
    }
}
