package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.ChainActivation;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.quant.layer.LayerKinds;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * Joins the nodes that one integer kernel computes: a convolution or linear layer, the sum and the
 * activation after it become one {@link FusedChain} at the layer's path.
 */
final class ChainJoining {
    private ChainJoining() {}

    /** A layer's chain and the nodes that it stands for. */
    private record Chain(FusedChain module, List<Value> inputs, List<Node> joined) {}

    /**
     * Joins.
     *
     * @param kernels what one kernel computes
     * @param left the paths of layers that are left as they are
     */
    static GraphModule apply(GraphModule model, IntegerKernels kernels, Set<String> left) {
        Graph graph = model.graph();
        Map<String, Module> modules = new LinkedHashMap<>(model.modules());
        Map<Value, List<Node>> consumers = graph.consumers();
        Set<Value> defined = new HashSet<>(graph.inputs());
        Map<Value, Value> replaced = new HashMap<>();
        UnaryOperator<Value> now = value -> replaced.getOrDefault(value, value);
        List<Node> nodes = new ArrayList<>();
        Set<Node> absorbed = new HashSet<>();
        for (Node node : graph.nodes()) {
            Node kept = node;
            if (node instanceof ModuleCall call
                    && !left.contains(call.path())
                    && isAnchor(modules.get(call.path()))) {
                Module layer = Objects.requireNonNull(modules.get(call.path()));
                Chain chain = chain(call, layer, kernels, graph, consumers, defined);
                modules.put(call.path(), chain.module());
                kept = new ModuleCall(call.path(), chain.inputs(), call.results());
                if (!chain.joined().isEmpty()) {
                    absorbed.addAll(chain.joined());
                    replaced.put(chain.joined().getLast().result(), call.result());
                }
            }
            if (!absorbed.contains(node)) {
                nodes.add(kept.withInputs(now));
            }
            defined.addAll(node.results());
        }
        List<Value> outputs = graph.outputs().stream().map(now).toList();
        return new GraphModule(graph.with(nodes, outputs), modules);
    }

    private static Chain chain(
            ModuleCall call,
            Module layer,
            IntegerKernels kernels,
            Graph graph,
            Map<Value, List<Node>> consumers,
            Set<Value> defined) {
        List<Value> inputs = new ArrayList<>(call.inputs());
        List<Node> joined = new ArrayList<>();
        Value last = call.result();
        Optional<Node> next = onlyConsumer(graph, last, consumers);
        if (next.isPresent() && kernels.addsInside(layer)) {
            Optional<Value> other = otherOperand(next.get(), last, defined);
            if (other.isPresent()) {
                inputs.add(other.get());
                joined.add(next.get());
                last = next.get().result();
                next = onlyConsumer(graph, last, consumers);
            }
        }
        boolean adds = !joined.isEmpty();
        ChainActivation activation = next.flatMap(ChainActivation::of).orElse(ChainActivation.NONE);
        if (activation != ChainActivation.NONE && kernels.computesInside(layer, adds, activation)) {
            joined.add(next.orElseThrow());
        } else {
            activation = ChainActivation.NONE;
        }
        return new Chain(new FusedChain(layer, adds, activation), inputs, joined);
    }

    private static Optional<Node> onlyConsumer(
            Graph graph, Value value, Map<Value, List<Node>> consumers) {
        List<Node> all = consumers.getOrDefault(value, List.of());
        return all.size() == 1 && !graph.returns(value)
                ? Optional.of(all.getFirst())
                : Optional.empty();
    }

    /** What a sum adds to a value, if that is known when the value is computed. */
    private static Optional<Value> otherOperand(Node node, Value one, Set<Value> defined) {
        if (!node.calls(GraphOperator.ADD)) {
            return Optional.empty();
        }
        Value other = node.inputs().get(node.inputs().getFirst().equals(one) ? 1 : 0);
        return other.equals(one) || !defined.contains(other)
                ? Optional.empty()
                : Optional.of(other);
    }

    /**
     * Whether a chain can begin with this layer: one that has a kernel, and whose hooks would not
     * be lost.
     */
    static boolean isAnchor(@Nullable Module module) {
        return module != null && LayerKinds.of(module).isLinearMap() && !module.hasHooks();
    }
}
