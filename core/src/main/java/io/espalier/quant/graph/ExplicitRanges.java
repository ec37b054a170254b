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
        for (Node node : graph.nodes()) {
            Node current = node.withInputs(value -> now.getOrDefault(value, value));
            switch (current) {
                case ModuleCall call when before.get(call.path()) instanceof Observer observer -> {
                    Range range = Range.of(observer.name(), observer.quantizationParameters());
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
                }
            }
        }
        List<Value> outputs =
                graph.outputs().stream().map(value -> now.getOrDefault(value, value)).toList();
        return new GraphModule(graph.with(nodes, outputs), modules);
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
