package io.espalier.graph;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.nn.Module;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Which calls may compute in the memory of their second input, because nothing else needs it any
 * more: a residual network then adds without a copy.
 */
final class MemoryReuse {
    private final Graph graph;
    private final Map<Value, Node> producers;
    private final Map<Value, List<Node>> users;
    private final Map<Node, Integer> positions;
    private final List<@Nullable Module> owners;

    private MemoryReuse(Graph graph, List<@Nullable Module> owners) {
        this.graph = graph;
        this.owners = owners;
        this.producers = graph.producers();
        this.users = graph.consumers();
        this.positions = new HashMap<>();
        for (int i = 0; i < graph.nodes().size(); i++) {
            positions.put(graph.nodes().get(i), i);
        }
    }

    /**
     * One answer for each node.
     *
     * @param owners what each node calls
     */
    static List<Boolean> overwrites(Graph graph, List<@Nullable Module> owners) {
        var reuse = new MemoryReuse(graph, owners);
        List<Boolean> answers = new ArrayList<>();
        for (Node node : graph.nodes()) {
            MemoryUse use = reuse.use(node);
            answers.add(
                    use != null
                            && use.accumulates()
                            && node.inputs().size() > 1
                            && reuse.isFreeAfter(node.inputs().get(1), node));
        }
        return answers;
    }

    private int position(Node node) {
        return positions.getOrDefault(node, 0);
    }

    private @Nullable Module module(Node node) {
        Module owner = owners.get(position(node));
        return owner == null ? null : owner.current();
    }

    private @Nullable MemoryUse use(@Nullable Node node) {
        return node instanceof ModuleCall && module(node) instanceof MemoryUse use ? use : null;
    }

    private boolean givesNewMemory(@Nullable Node node) {
        MemoryUse use = use(node);
        return use != null && use.givesNewMemory();
    }

    private boolean isFreeAfter(Value value, Node last) {
        List<Node> all = users.getOrDefault(value, List.of());
        return givesNewMemory(producers.get(value))
                && !graph.returns(value)
                && all.stream().filter(last::equals).count() == 1
                && all.stream()
                        .filter(user -> !user.equals(last))
                        .allMatch(user -> isDoneBefore(user, last));
    }

    /** Whether a user of some memory, and all who see that memory through it, run before a node. */
    private boolean isDoneBefore(Node user, Node last) {
        if (position(user) >= position(last) || mayKeep(user)) {
            return false;
        }
        return !isView(user)
                || user.results().stream()
                        .allMatch(result ->
                                !graph.returns(result)
                                        && users.getOrDefault(result, List.of()).stream()
                                                .allMatch(next -> isDoneBefore(next, last)));
    }

    /** A module of a user's own may keep what it is handed. */
    private boolean mayKeep(Node user) {
        Module module = module(user);
        return user instanceof ModuleCall && (module == null || !module.isAtomic());
    }

    private boolean isView(Node node) {
        return switch (node) {
            case OperatorCall call -> call.operator().isView();
            case ModuleCall call -> !givesNewMemory(call);
            case Node.StateRead read -> false;
        };
    }
}
