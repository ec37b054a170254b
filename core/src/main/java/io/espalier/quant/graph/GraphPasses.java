package io.espalier.quant.graph;

import io.espalier.graph.GraphModule;
import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.quant.layer.DynamicLayer;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.quant.layer.Packing;
import io.espalier.tensor.EspalierException;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** The passes that quantize a graph, in their order. Each makes a new one. */
public final class GraphPasses {
    private GraphPasses() {}

    /**
     * The graph to calibrate.
     *
     * @param traced the graph of a float model
     * @param settings those of the layers that are to be quantized, by path; those that compute in
     *     integers are all of one engine
     * @throws EspalierException if none of them can be
     */
    public static GraphModule prepare(GraphModule traced, Map<String, LayerSettings> settings) {
        GraphModule separate = SeparateCalls.apply(traced);
        Map<String, LayerSettings> ofCalls = SeparateCalls.ofCalls(separate, settings);
        GraphModule small = SmallWeights.apply(separate, ofCalls);
        Map<String, LayerSettings> inIntegers = inIntegers(small, ofCalls);
        if (inIntegers.isEmpty()) {
            requireAny(small, settings.keySet(), traced);
            return small;
        }
        IntegerKernels kernels = kernels(inIntegers);
        return ObserverPlacement.apply(fuse(small, kernels, Set.of()), inIntegers, kernels);
    }

    /**
     * The graph that says by its own nodes where values are quantized and with which ranges.
     *
     * @param prepared a calibrated graph
     * @throws EspalierException if an observer has seen no data, or a range is none that a kernel
     *     takes
     */
    public static GraphModule reference(GraphModule prepared) {
        return ExplicitRanges.apply(prepared);
    }

    /**
     * The graph with explicit ranges in which some layers are in floats again.
     *
     * @param isFloat by the layer's path
     */
    public static GraphModule inFloat(GraphModule reference, Predicate<String> isFloat) {
        return FloatAgain.apply(reference, isFloat);
    }

    /**
     * The graph of integer kernels.
     *
     * @param reference one with explicit ranges
     * @throws EspalierException if it has none, or a layer has no kernel
     */
    public static GraphModule lower(GraphModule reference) {
        return GatedAffine.apply(Lowering.apply(reference));
    }

    /** The graph of a float model whose chains are fused as in a converted one. */
    public static GraphModule fusedAs(GraphModule traced, GraphModule converted) {
        Set<String> left = new HashSet<>();
        converted
                .modules()
                .forEach((path, layer) -> {
                    if (layer instanceof DynamicLayer) {
                        left.add(path);
                    }
                });
        IntegerKernels kernels = IntegerKernels.of(converted.modules().values());
        return fuse(SeparateCalls.apply(traced), kernels, left);
    }

    /** With chains fused, but for those of some layers. */
    private static GraphModule fuse(
            GraphModule separate, IntegerKernels kernels, Set<String> left) {
        GraphModule recognized = SiluRecognition.apply(separate);
        GraphModule folded = BatchNormFolding.apply(recognized, left);
        return ChainJoining.apply(folded, kernels, left);
    }

    /** The settings of the layers that have a kernel. */
    private static Map<String, LayerSettings> inIntegers(
            GraphModule model, Map<String, LayerSettings> settings) {
        Map<String, LayerSettings> found = new LinkedHashMap<>();
        settings.forEach((path, given) -> {
            Module layer = model.modules().get(path);
            if (layer != null
                    && ChainJoining.isAnchor(layer)
                    && IntegerKernels.of(given.packing()).computes(layer)) {
                found.put(path, given);
            }
        });
        return found;
    }

    private static IntegerKernels kernels(Map<String, LayerSettings> inIntegers) {
        Packing first = inIntegers.values().iterator().next().packing();
        inIntegers.forEach((path, given) -> {
            if (given.packing().engine() != first.engine()) {
                throw new EspalierException(
                        "A graph runs on one engine; '"
                                + path
                                + "' is configured for "
                                + given.packing().engine()
                                + ", others for "
                                + first.engine()
                                + ".");
            }
        });
        return IntegerKernels.of(first);
    }

    private static void requireAny(GraphModule small, Set<String> configured, GraphModule traced) {
        if (small.modules().values().stream().noneMatch(IntegerWeighted.class::isInstance)) {
            boolean hooked = configured.stream().anyMatch(path -> traced.module(path).hasHooks());
            throw new EspalierException(
                    "Nothing to quantize: no layer of the graph that has a qconfig has an int8"
                            + " kernel"
                            + (hooked ? " and no hook, which sees floats" : "")
                            + "; it has "
                            + configured.stream()
                                    .map(path -> described(path, traced.module(path)))
                                    .collect(Collectors.joining(", "))
                            + ".");
        }
    }

    private static String described(String path, Module layer) {
        return "'" + path + "', a " + layer + (layer.hasHooks() ? " with a hook" : "");
    }
}
