package io.espalier.quant.fusion;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Node;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

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

    private boolean flowsOneWay(Node.ModuleCall call) {
        return call.results().size() == 1
                && !graph.returns(call.result())
                && consumers.getOrDefault(call.result(), List.of()).size() == 1;
    }
}
