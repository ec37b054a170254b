package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.quant.layer.QuantizedLayer.Range;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A value that a graph with explicit ranges rounds.
 *
 * @param value as it is computed
 * @param range how its integers stand for numbers
 * @param layers the paths of the layers that it is rounded for; with all of them in floats it is
 *     not rounded any more
 */
public record RoundedValue(Value value, Range range, Set<String> layers) {
    /** Copies the set. */
    public RoundedValue {
        layers = Set.copyOf(layers);
    }

    /**
     * The values that lose something by being rounded, in the order of the program. What only moves
     * integers about, or takes their codes for other numbers, loses nothing more.
     *
     * @param explicit a graph with explicit ranges
     */
    public static List<RoundedValue> of(GraphModule explicit) {
        var finder = new Finder(explicit);
        List<RoundedValue> found = new ArrayList<>();
        for (Node node : explicit.graph().nodes()) {
            if (node instanceof OperatorCall call
                    && call.calls(GraphOperator.QUANTIZE)
                    && !finder.hasCodesOfInput(call)) {
                Value value = call.inputs().getFirst();
                Set<String> layers = finder.layers.getOrDefault(value, Set.of());
                if (!layers.isEmpty()) {
                    found.add(new RoundedValue(value, range(call), layers));
                }
            }
        }
        return found;
    }

    /** What a node quantizes to. */
    static Range range(OperatorCall quantize) {
        return new Range(
                (float) quantize.number("scale"), Math.toIntExact(quantize.integer("zero_point")));
    }

    /** For each value that is rounded, the layers that need it so. */
    static Map<Value, Set<String>> needed(GraphModule explicit) {
        return new Finder(explicit).layers;
    }

    /** Who needs what rounded, found from the results backwards. */
    private static final class Finder {
        private final Graph graph;
        private final Map<String, Module> modules;
        private final Map<Value, Node> producers;
        private final Map<Value, List<Node>> consumers;
        private final Map<Value, Set<String>> layers = new LinkedHashMap<>();

        Finder(GraphModule explicit) {
            graph = explicit.graph();
            modules = explicit.modules();
            producers = graph.producers();
            consumers = graph.consumers();
            for (Node node : graph.nodes().reversed()) {
                if (node.calls(GraphOperator.DEQUANTIZE)
                        && producers.get(node.inputs().getFirst()) instanceof OperatorCall quantize
                        && quantize.calls(GraphOperator.QUANTIZE)) {
                    Value value = quantize.inputs().getFirst();
                    layers.computeIfAbsent(value, v -> new LinkedHashSet<>())
                            .addAll(layers(value, node.result()));
                }
            }
        }

        /** Those that read a value's rounded form, or compute the value and give nothing else. */
        private Set<String> layers(Value value, Value rounded) {
            Set<String> found = new LinkedHashSet<>();
            for (Node node : consumers.getOrDefault(rounded, List.of())) {
                if (node instanceof ModuleCall call && isInteger(call)) {
                    found.add(call.path());
                } else if (keepsCodes(node)) {
                    found.addAll(layers.getOrDefault(node.results().getFirst(), Set.of()));
                }
            }
            if (producers.get(value) instanceof ModuleCall call
                    && isInteger(call)
                    && !givesFloats(call)) {
                found.add(call.path());
            }
            return found;
        }

        private boolean keepsCodes(Node node) {
            return switch (node) {
                case ModuleCall call -> UniformAffine.of(modules.get(call.path())).isPresent();
                case OperatorCall call -> IntegerPlacement.isPassing(call);
                case Node.StateRead read -> false;
            };
        }

        private boolean isInteger(ModuleCall call) {
            return modules.get(call.path()) instanceof FusedChain chain
                    && chain.weightParameters().isPresent();
        }

        private boolean givesFloats(ModuleCall call) {
            return modules.get(call.path()) instanceof FusedChain chain
                    && chain.packing()
                            .filter(packing -> IntegerKernels.of(packing).givesFloats(chain))
                            .isPresent();
        }

        /** Whether what is rounded here has been rounded to the same codes before. */
        private boolean hasCodesOfInput(OperatorCall quantize) {
            Node producer = producers.get(quantize.inputs().getFirst());
            if (producer == null
                    || !keepsCodes(producer)
                    || !(producers.get(producer.inputs().getFirst()) instanceof OperatorCall floats)
                    || !floats.calls(GraphOperator.DEQUANTIZE)
                    || !(producers.get(floats.inputs().getFirst()) instanceof OperatorCall before)
                    || !before.calls(GraphOperator.QUANTIZE)) {
                return false;
            }
            Range range = range(before);
            return producer instanceof ModuleCall call
                    ? UniformAffine.of(modules.get(call.path()))
                            .flatMap(affine -> affine.after(range))
                            .filter(range(quantize)::equals)
                            .isPresent()
                    : range.equals(range(quantize));
        }
    }
}
