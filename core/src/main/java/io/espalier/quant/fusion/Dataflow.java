package io.espalier.quant.fusion;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Node;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What becomes of the results of a model's layers, read from its graph: a use that makes no
 * difference on the example counts, too.
 */
public final class Dataflow {
    private final Graph graph;
    private final Map<Value, List<Node>> consumers;
    private final Map<String, List<Node.ModuleCall>> calls = new HashMap<>();

    private Dataflow(Graph graph) {
        this.graph = graph;
        this.consumers = graph.consumers();
        for (Node node : graph.nodes()) {
            if (node instanceof Node.ModuleCall call) {
                calls.computeIfAbsent(call.path(), path -> new ArrayList<>()).add(call);
            }
        }
    }

    /**
     * The flow through a model, if it can be traced.
     *
     * @param model a model in inference mode
     * @param example what it is called with
     */
    public static Optional<Dataflow> of(Module model, List<Tensor> example) {
        try {
            return Optional.of(
                    new Dataflow(GraphModule.trace(model, example.toArray(Tensor[]::new)).graph()));
        } catch (EspalierException untraceable) {
            return Optional.empty();
        }
    }

    /**
     * Whether a layer's result may be used at one place only: it is, or the layer stands in a
     * module that the graph holds as a whole.
     */
    boolean mayFlowOneWay(String path) {
        List<Node.ModuleCall> all = calls.getOrDefault(path, List.of());
        return all.isEmpty() || (all.size() == 1 && flowsOneWay(all.getFirst()));
    }

    /**
     * Whether a layer's calls are in the graph, and not inside a module that it holds as a whole.
     */
    boolean shows(String path) {
        return calls.containsKey(path);
    }

    /** Whether the model's code uses a tensor of a layer beside the layer itself. */
    boolean readsTensorsOf(String path) {
        return graph.nodes().stream()
                .anyMatch(node -> node instanceof Node.StateRead read && read.owner().equals(path));
    }

    /**
     * Who reads a result.
     *
     * @param layers the paths of the modules that do, each as often as it does
     * @param others whether it is also used by anything else, or returned
     */
    public record Readers(List<String> layers, boolean others) {
        /** Copies the list. */
        public Readers {
            layers = List.copyOf(layers);
        }

        /** The one module that reads it, if nothing else does. */
        public Optional<String> only() {
            return others || layers.size() != 1 ? Optional.empty() : Optional.of(layers.getFirst());
        }
    }

    /**
     * Who reads a layer's result, itself or what became of it; empty if the graph does not show one
     * call of the layer, and so can't tell.
     *
     * @param path where the layer stands
     * @param through the functions that a result is followed through
     */
    public Optional<Readers> readers(String path, Predicate<Node.OperatorCall> through) {
        List<Node.ModuleCall> all = calls.getOrDefault(path, List.of());
        if (all.size() != 1) {
            return Optional.empty();
        }
        List<String> layers = new ArrayList<>();
        boolean others = false;
        Deque<Value> open = new ArrayDeque<>(all.getFirst().results());
        while (!open.isEmpty()) {
            Value value = open.pop();
            others |= graph.returns(value);
            for (Node user : consumers.getOrDefault(value, List.of())) {
                switch (user) {
                    case Node.ModuleCall call -> layers.add(call.path());
                    case Node.OperatorCall call when through.test(call) ->
                            open.addAll(call.results());
                    default -> others = true;
                }
            }
        }
        return Optional.of(new Readers(layers, others));
    }

    private boolean flowsOneWay(Node.ModuleCall call) {
        return call.results().size() == 1
                && !graph.returns(call.result())
                && consumers.getOrDefault(call.result(), List.of()).size() == 1;
    }
}
