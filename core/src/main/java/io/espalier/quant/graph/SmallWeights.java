package io.espalier.quant.graph;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.quant.layer.LayerKinds;
import io.espalier.quant.layer.PlacedLayer;
import io.espalier.quant.observer.PlaceholderObserver;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.jspecify.annotations.Nullable;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Gives 8-bit weights to layers whose activations stay floats, which need no calibration: tables of
 * vectors, LSTM and GRU, and linear layers that are configured so. The time of an LSTM goes into
 * reading its weights, and one call of a dynamic kernel is several times as fast as integer layers
 * step by step.
 */
final class SmallWeights {
    private SmallWeights() {}

    static GraphModule apply(GraphModule model, Map<String, LayerSettings> settings) {
        var modules = new LinkedHashMap<>(model.modules());
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            settings.forEach((path, given) ->
                    modules.computeIfPresent(
                            path,
                            (own, layer) ->
                                    takes(layer, given) ? compressed(path, layer, given) : layer));
        }
        return new GraphModule(model.graph(), modules);
    }

    /** Whether a layer only ever has small weights: its kind has no other form worth its time. */
    static boolean isFor(@Nullable Module layer) {
        return layer != null
                && LayerKinds.of(layer).hasDynamicForm()
                && !LayerKinds.of(layer).isLinearMap()
                && !layer.hasHooks();
    }

    private static boolean takes(Module layer, LayerSettings settings) {
        return isFor(layer)
                || (LayerKinds.of(layer).isDynamic()
                        && !layer.hasHooks()
                        && settings.activation().made() instanceof PlaceholderObserver);
    }

    private static Module compressed(String path, Module layer, LayerSettings settings) {
        return LayerKinds.of(layer)
                .dynamic(
                        new PlacedLayer(
                                path,
                                layer,
                                settings.activation(),
                                settings.packing(),
                                settings.packing().weight()));
    }
}
