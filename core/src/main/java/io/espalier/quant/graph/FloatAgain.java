package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.ChainActivation;
import io.espalier.quant.layer.FusedChain;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Takes layers of a graph with explicit ranges back to floats: their weights are as they were, and
 * what is quantized for nobody else any more is not.
 */
final class FloatAgain {
    private final Graph graph;
    private final Map<String, Module> modules;
    private final Map<Value, Node> producers;
    private final Map<Value, Set<String>> needed;
    private final Predicate<String> isFloat;

    private FloatAgain(GraphModule explicit, Predicate<String> isFloat) {
        this.graph = explicit.graph();
        this.modules = new LinkedHashMap<>(explicit.modules());
        this.producers = graph.producers();
        this.needed = RoundedValue.needed(explicit);
        this.isFloat = isFloat;
    }

    /**
     * Takes back.
     *
     * @param isFloat by a layer's path
     */
    static GraphModule apply(GraphModule explicit, Predicate<String> isFloat) {
        return new FloatAgain(explicit, isFloat).taken();
    }

    private GraphModule taken() {
        Map<Value, Value> unrounded = new HashMap<>();
        for (Node node : graph.nodes()) {
            if (node.calls(GraphOperator.DEQUANTIZE)
                    && producers.get(node.inputs().getFirst()) instanceof OperatorCall quantize
                    && quantize.calls(GraphOperator.QUANTIZE)) {
                Value value = quantize.inputs().getFirst();
                if (needed.getOrDefault(value, Set.of()).stream().allMatch(isFloat)) {
                    unrounded.put(node.result(), value);
                }
            }
        }
        modules.replaceAll((path, module) ->
                module instanceof FusedChain chain && isFloat.test(path) ? plain(chain) : module);
        return new GraphModule(
                graph.replacing(unrounded).withoutUnused(OperatorCall.class::isInstance), modules);
    }

    private static Module plain(FusedChain rounded) {
        FusedChain chain = rounded.unrounded();
        boolean alone = !chain.adds() && chain.activation() == ChainActivation.NONE;
        return alone
                ? chain.layer()
                : new FusedChain(chain.layer(), chain.adds(), chain.activation());
    }
}
