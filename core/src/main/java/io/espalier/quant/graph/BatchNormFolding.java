package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.graph.Value;
import io.espalier.nn.BatchNorm;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.Folding;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** Puts a batch normalization into the weights of the layer before it, if nobody else uses that. */
final class BatchNormFolding {
    private BatchNormFolding() {}

    /**
     * Folds.
     *
     * @param left the paths of layers that are left as they are
     */
    static GraphModule apply(GraphModule model, Set<String> left) {
        Graph graph = model.graph();
        Map<String, Module> modules = new LinkedHashMap<>(model.modules());
        Map<Value, Node> producers = graph.producers();
        Map<Value, List<Node>> consumers = graph.consumers();
        Map<Value, Value> replaced = new HashMap<>();
        for (Node node : graph.nodes()) {
            if (node instanceof ModuleCall norm
                    && modules.get(norm.path()) instanceof BatchNorm batchNorm
                    && FloatLayers.isOne(batchNorm)
                    && !batchNorm.hasHooks()
                    && batchNorm.runningMean().isPresent()
                    && producers.get(norm.inputs().getFirst()) instanceof ModuleCall call
                    && !left.contains(call.path())
                    && !isRead(graph, call.path())
                    && ChainJoining.isAnchor(modules.get(call.path()))
                    && isUsedOnlyBy(graph, call.result(), norm, consumers)) {
                Module layer = Objects.requireNonNull(modules.get(call.path()));
                if (Folding.channels(layer) == batchNorm.numFeatures()) {
                    modules.put(call.path(), Folding.fold(layer, batchNorm));
                    replaced.put(norm.result(), call.result());
                }
            }
        }
        return new GraphModule(
                graph.replacing(replaced)
                        .withoutUnused(node -> replaced.containsKey(node.result())),
                modules);
    }

    /** Whether a module's tensors are used beside it, and so must stay as they are. */
    private static boolean isRead(Graph graph, String path) {
        return graph.nodes().stream()
                .anyMatch(node -> node instanceof StateRead read && read.owner().equals(path));
    }

    private static boolean isUsedOnlyBy(
            Graph graph, Value value, Node consumer, Map<Value, List<Node>> consumers) {
        return !graph.returns(value)
                && consumers.getOrDefault(value, List.of()).equals(List.of(consumer));
    }
}
