package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.ChainActivation;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;

import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
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
    private final Map<Value, List<Node>> consumers;
    private final Predicate<String> isFloat;
    private final Set<Value> needed = new HashSet<>();

    private FloatAgain(GraphModule explicit, Predicate<String> isFloat) {
        this.graph = explicit.graph();
        this.modules = new LinkedHashMap<>(explicit.modules());
        this.producers = graph.producers();
        this.consumers = graph.consumers();
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
        for (Node node : graph.nodes().reversed()) {
            if (node.calls(GraphOperator.DEQUANTIZE)
                    && producers.get(node.inputs().getFirst()) instanceof OperatorCall quantize
                    && quantize.calls(GraphOperator.QUANTIZE)) {
                Value value = quantize.inputs().getFirst();
                if (isNeeded(value, node.result())) {
                    needed.add(value);
                } else {
                    unrounded.put(node.result(), value);
                }
            }
        }
        modules.replaceAll((path, module) ->
                module instanceof FusedChain chain && isFloat.test(path) ? plain(chain) : module);
        return new GraphModule(
                graph.replacing(unrounded).withoutUnused(OperatorCall.class::isInstance), modules);
    }

    /** Whether integers read a value's rounded form, or compute the value and give nothing else. */
    private boolean isNeeded(Value value, Value rounded) {
        return consumers.getOrDefault(rounded, List.of()).stream().anyMatch(this::readsIntegers)
                || (producers.get(value) instanceof ModuleCall call
                        && isInteger(call)
                        && !givesFloats(call));
    }

    private boolean readsIntegers(Node node) {
        return switch (node) {
            case ModuleCall call ->
                    isInteger(call)
                            || (needed.contains(call.result())
                                    && UniformAffine.of(modules.get(call.path())).isPresent());
            case OperatorCall call ->
                    IntegerPlacement.isPassing(call) && needed.contains(call.result());
            case Node.StateRead read -> false;
        };
    }

    private boolean isInteger(ModuleCall call) {
        return modules.get(call.path()) instanceof FusedChain chain
                && chain.weightParameters().isPresent()
                && !isFloat.test(call.path());
    }

    private boolean givesFloats(ModuleCall call) {
        return modules.get(call.path()) instanceof FusedChain chain
                && chain.packing()
                        .filter(packing -> IntegerKernels.of(packing).givesFloats(chain))
                        .isPresent();
    }

    private static Module plain(FusedChain rounded) {
        FusedChain chain = rounded.unrounded();
        boolean alone = !chain.adds() && chain.activation() == ChainActivation.NONE;
        return alone
                ? chain.layer()
                : new FusedChain(chain.layer(), chain.adds(), chain.activation());
    }
}
