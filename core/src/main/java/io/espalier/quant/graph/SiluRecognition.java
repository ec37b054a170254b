package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Writes {@code x · sigmoid(x)} as the one function that it is. */
final class SiluRecognition {
    private SiluRecognition() {}

    static GraphModule apply(GraphModule model) {
        Graph graph = model.graph();
        Map<Value, Node> producers = graph.producers();
        List<Node> nodes = new ArrayList<>();
        for (Node node : graph.nodes()) {
            Value gated = gatedBySigmoid(node, producers);
            nodes.add(
                    gated == null
                            ? node
                            : new OperatorCall(GraphOperator.SILU, gated, node.result()));
        }
        return new GraphModule(
                graph.withNodes(nodes).withoutUnused(node -> node.calls(GraphOperator.SIGMOID)),
                model.modules());
    }

    private static @Nullable Value gatedBySigmoid(Node node, Map<Value, Node> producers) {
        if (!node.calls(GraphOperator.MUL)) {
            return null;
        }
        Value a = node.inputs().get(0);
        Value b = node.inputs().get(1);
        if (isSigmoidOf(producers.get(b), a)) {
            return a;
        }
        return isSigmoidOf(producers.get(a), b) ? b : null;
    }

    private static boolean isSigmoidOf(@Nullable Node node, Value value) {
        return node != null
                && node.calls(GraphOperator.SIGMOID)
                && node.inputs().getFirst().equals(value);
    }
}
