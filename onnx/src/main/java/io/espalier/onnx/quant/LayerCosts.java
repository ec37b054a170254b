package io.espalier.onnx.quant;

import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.StepWatcher;
import io.espalier.graph.Value;
import io.espalier.onnx.fit.Decibels;
import io.espalier.quant.layer.FusedChain;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What each layer of a graph saves in integers on this machine, and how far these are off. */
final class LayerCosts {
    private static final int RUNS = 6;

    /** Going from integers to floats and back takes as much, as a part of the whole. */
    private static final double LEAST_GAIN = 0.005;

    private final Map<String, Double> floatTimes;
    private final Map<String, Double> integerTimes;
    private final Map<String, Double> errors = new LinkedHashMap<>();

    private LayerCosts(Map<String, Double> floatTimes, Map<String, Double> integerTimes) {
        this.floatTimes = floatTimes;
        this.integerTimes = integerTimes;
    }

    /**
     * Costs of layers with these times.
     *
     * @param floats with all layers in floats, by their paths
     * @param integers the same with all in integers
     */
    static LayerCosts ofTimes(Map<String, Double> floats, Map<String, Double> integers) {
        return new LayerCosts(floats, integers);
    }

    /** What each layer of a graph takes, the least time of several runs, in milliseconds. */
    static Map<String, Double> times(GraphModule graph, List<Tensor> inputs) {
        Map<String, Double> least = new HashMap<>();
        for (int run = 0; run < RUNS; run++) {
            try (var scope = new PointerScope()) {
                var clock = new Clock();
                StepWatcher watcher =
                        (node, operands, results) -> {
                            double passed = clock.lap();
                            if (node instanceof ModuleCall call) {
                                least.merge(call.path(), passed, Math::min);
                            }
                        };
                watcher.run(graph, inputs);
            }
        }
        return least;
    }

    private static final class Clock {
        private long last = System.nanoTime();

        double lap() {
            long now = System.nanoTime();
            double passed = (now - last) / 1e6;
            last = now;
            return passed;
        }
    }

    /**
     * Measures what the integers of each layer are off: those of its inputs and its weight, as a
     * part of their squares.
     *
     * @param reference the graph with explicit ranges
     */
    void measureErrors(GraphModule reference, List<Tensor> inputs) {
        Map<Value, Double> ofValues = new HashMap<>();
        StepWatcher watcher =
                (node, operands, results) -> {
                    if (node.calls(GraphOperator.QUANTIZE)) {
                        ofValues.put(
                                node.result(),
                                error(operands.getFirst(), results.getFirst().dequantize()));
                    } else if (node.calls(GraphOperator.DEQUANTIZE)) {
                        ofValues.put(
                                node.result(),
                                ofValues.getOrDefault(node.inputs().getFirst(), 0.0));
                    }
                };
        try (var scope = new PointerScope()) {
            watcher.run(reference, inputs);
            for (Node node : reference.graph().nodes()) {
                if (node instanceof ModuleCall call
                        && reference.module(call.path()) instanceof FusedChain chain
                        && chain.weightParameters().isPresent()) {
                    double sum = ofWeight(chain);
                    for (Value input : call.inputs()) {
                        sum += ofValues.getOrDefault(input, 0.0);
                    }
                    errors.put(call.path(), sum);
                }
            }
        }
    }

    private static double ofWeight(FusedChain chain) {
        return error(chain.unrounded().layer().value("weight"), chain.layer().value("weight"));
    }

    private static double error(Tensor exact, Tensor rounded) {
        try (var scope = new PointerScope()) {
            double squares = exact.square().sum().item_double();
            return squares == 0 ? 0 : exact.sub(rounded).square().sum().item_double() / squares;
        }
    }

    /** All layers that are in integers, in the graph's order. */
    List<String> inOrder() {
        return List.copyOf(errors.keySet());
    }

    /** Those first whose integers are off most for the time that they save. */
    List<String> worstFirst() {
        return errors.keySet().stream()
                .sorted(Comparator.comparingDouble(this::errorForTime).reversed())
                .toList();
    }

    private double errorForTime(String path) {
        return errors.getOrDefault(path, 0.0) / saved(path);
    }

    /** The milliseconds that a layer saves in integers, or a little where it saves none. */
    double saved(String path) {
        double whole = floatTimes.values().stream().mapToDouble(d -> d).sum();
        return Math.max(gain(path), LEAST_GAIN * whole);
    }

    private double gain(String path) {
        return floatTimes.getOrDefault(path, 0.0) - integerTimes.getOrDefault(path, 0.0);
    }

    /** What was measured of a layer, in words. */
    String describe(String path) {
        String times =
                String.format(
                        Locale.ROOT,
                        "float %.3f ms, int8 %.3f ms",
                        floatTimes.getOrDefault(path, 0.0),
                        integerTimes.getOrDefault(path, 0.0));
        double error = errors.getOrDefault(path, 0.0);
        return error == 0 ? times : times + ", " + Decibels.ofSquares(error);
    }
}
