package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.IntegerLayer;
import io.espalier.quant.layer.QuantizedLayer;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Lets a layer that adds to its second input do so in that input's memory, where nothing else needs
 * it any more: a residual network then adds without a copy.
 */
final class MemoryReuse {
    private final Graph graph;
    private final Map<String, Module> modules;
    private final Map<Value, Node> producers;
    private final Map<Value, List<Node>> users;
    private final Map<Node, Integer> positions = new HashMap<>();

    private MemoryReuse(Graph graph, Map<String, Module> modules) {
        this.graph = graph;
        this.modules = modules;
        this.producers = graph.producers();
        this.users = graph.consumers();
        for (int i = 0; i < graph.nodes().size(); i++) {
            positions.put(graph.nodes().get(i), i);
        }
    }

    static void apply(Graph graph, Map<String, Module> modules) {
        var reuse = new MemoryReuse(graph, modules);
        for (Node node : graph.nodes()) {
            if (node instanceof ModuleCall call
                    && modules.get(call.path()) instanceof IntegerLayer layer
                    && layer.adds()
                    && reuse.isFreeAfter(call.inputs().get(1), node)) {
                layer.inPlace();
            }
        }
    }

    private boolean isFreeAfter(Value value, Node last) {
        List<Node> all = users.getOrDefault(value, List.of());
        return ownsMemory(producers.get(value))
                && !graph.returns(value)
                && all.stream().filter(last::equals).count() == 1
                && all.stream()
                        .filter(user -> !user.equals(last))
                        .allMatch(user -> isDoneBefore(user, last));
    }

    private boolean ownsMemory(@Nullable Node producer) {
        return producer instanceof ModuleCall call
                && modules.get(call.path()) instanceof QuantizedLayer;
    }

    /** Whether a user of some memory, and all who see that memory through it, run before a node. */
    private boolean isDoneBefore(Node user, Node last) {
        if (positions.getOrDefault(user, 0) >= positions.getOrDefault(last, 0)) {
            return false;
        }
        return !isView(user)
                || (!graph.returns(user.result())
                        && users.getOrDefault(user.result(), List.of()).stream()
                                .allMatch(next -> isDoneBefore(next, last)));
    }

    private boolean isView(Node node) {
        return switch (node) {
            case OperatorCall call -> call.operator().isView();
            case ModuleCall call -> !(modules.get(call.path()) instanceof QuantizedLayer);
            case Node.StateRead read -> false;
        };
    }
}
