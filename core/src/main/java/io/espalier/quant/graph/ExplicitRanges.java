package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Names;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.ChainActivation;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.quant.observer.Observer;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Writes what observers have seen into a graph: a node that quantizes, with its range, and one that
 * makes floats again stand in the place of each. Layers compute in floats between them, with their
 * weights rounded. It is what the integers will compute, said without the kernels of any engine.
 */
final class ExplicitRanges {
    private ExplicitRanges() {}

    static GraphModule apply(GraphModule prepared) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            return explicit(prepared);
        }
    }

    private static GraphModule explicit(GraphModule prepared) {
        Graph graph = prepared.graph();
        Map<String, Module> before = prepared.modules();
        Map<String, Module> modules = new LinkedHashMap<>();
        var names = Names.beside(graph);
        Map<Value, Value> now = new HashMap<>();
        Map<Value, Range> ranges = new HashMap<>();
        List<Node> nodes = new ArrayList<>();
        Map<Value, Range> shifted = shifted(prepared);
        for (Node node : graph.nodes()) {
            Node current = node.withInputs(value -> now.getOrDefault(value, value));
            switch (current) {
                case ModuleCall call when before.get(call.path()) instanceof Observer observer -> {
                    Range range = observed(prepared, shifted, call, observer);
                    Value quantized = names.fresh(call.inputs().getFirst() + "_quantized");
                    addPair(nodes, call.inputs().getFirst(), quantized, call.result(), range);
                    ranges.put(call.result(), range);
                }
                case OperatorCall call
                        when IntegerPlacement.isPassing(call)
                                && ranges.containsKey(call.inputs().getFirst()) -> {
                    Range range = Objects.requireNonNull(ranges.get(call.inputs().getFirst()));
                    nodes.add(call);
                    Value quantized = names.fresh(call.result() + "_quantized");
                    Value same = names.fresh(call.result() + "_observed");
                    addPair(nodes, call.result(), quantized, same, range);
                    now.put(call.result(), same);
                    ranges.put(same, range);
                }
                default -> {
                    nodes.add(current);
                    boolean inRanges = ranges.keySet().containsAll(current.inputs());
                    current.modulePath()
                            .ifPresent(path ->
                                    modules.put(path, rounded(path, before.get(path), inRanges)));
                    Range range = inRanges ? shifted.get(current.result()) : null;
                    if (range != null) {
                        Value quantized = names.fresh(current.result() + "_quantized");
                        Value same = names.fresh(current.result() + "_observed");
                        addPair(nodes, current.result(), quantized, same, range);
                        now.put(current.result(), same);
                    }
                }
            }
        }
        List<Value> outputs =
                graph.outputs().stream().map(value -> now.getOrDefault(value, value)).toList();
        return new GraphModule(graph.with(nodes, outputs), modules);
    }

    /** What an observer has seen; the range after a shift is one that the shift's codes have. */
    private static Range observed(
            GraphModule prepared, Map<Value, Range> shifted, ModuleCall call, Observer observer) {
        Range range = Range.of(observer.name(), observer.quantizationParameters());
        for (Node node : prepared.graph().nodes()) {
            if (node instanceof ModuleCall norm
                    && norm.result().equals(call.inputs().getFirst())
                    && shifted.containsKey(norm.inputs().getFirst())) {
                Range before = Objects.requireNonNull(shifted.get(norm.inputs().getFirst()));
                return UniformAffine.of(prepared.modules().get(norm.path()))
                        .flatMap(affine -> affine.after(before))
                        .orElse(range);
            }
        }
        return range;
    }

    /**
     * The ranges of values that a layer computes and only a shift by one number reads, whose result
     * is observed.
     */
    private static Map<Value, Range> shifted(GraphModule prepared) {
        Graph graph = prepared.graph();
        Map<String, Module> modules = prepared.modules();
        Map<Value, Node> producers = graph.producers();
        Map<Value, List<Node>> consumers = graph.consumers();
        Map<Value, Range> ranges = new HashMap<>();
        for (Node node : graph.nodes()) {
            if (node instanceof ModuleCall observed
                    && modules.get(observed.path()) instanceof Observer observer
                    && producers.get(observed.inputs().getFirst()) instanceof ModuleCall norm
                    && producers.get(norm.inputs().getFirst()) instanceof ModuleCall layer
                    && modules.get(layer.path()) instanceof FusedChain chain
                    && chain.packing().isPresent()
                    && !graph.returns(layer.result())
                    && consumers.getOrDefault(layer.result(), List.of()).equals(List.of(norm))) {
                UniformAffine.of(modules.get(norm.path()))
                        .flatMap(affine ->
                                affine.before(
                                        Range.of(
                                                observer.name(),
                                                observer.quantizationParameters())))
                        .ifPresent(range -> ranges.put(layer.result(), range));
            }
        }
        return ranges;
    }

    private static void addPair(
            List<Node> nodes, Value value, Value quantized, Value floats, Range range) {
        nodes.add(
                new OperatorCall(
                        GraphOperator.QUANTIZE,
                        List.of(value),
                        Map.of(
                                "scale",
                                (double) range.scale(),
                                "zero_point",
                                (long) range.zeroPoint(),
                                "dtype",
                                ScalarType.QUInt8),
                        quantized));
        nodes.add(new OperatorCall(GraphOperator.DEQUANTIZE, quantized, floats));
    }

    /** A chain with its weight rounded; one that stays in floats keeps what was folded into it. */
    private static Module rounded(String path, @Nullable Module module, boolean inRanges) {
        Module present = Objects.requireNonNull(module);
        if (!(present instanceof FusedChain chain)) {
            return present;
        }
        if (chain.packing().isPresent() && inRanges) {
            return chain.rounded(path);
        }
        boolean alone = !chain.adds() && chain.activation() == ChainActivation.NONE;
        return alone
                ? chain.layer()
                : new FusedChain(chain.layer(), chain.adds(), chain.activation());
    }
}
