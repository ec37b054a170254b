package io.espalier.quant;

import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.layer.DynamicLayer;
import io.espalier.quant.layer.QuantizedTable;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Replaces layers by such with small weights and float activations; needs no calibration. */
final class DynamicQuantization {
    /** The layers that are worth it: their time goes into reading weights. */
    private static final Set<Class<? extends Module>> NETWORKS =
            Set.of(Linear.class, LSTM.class, GRU.class);

    /** The tables of vectors, which are most of a text model's bytes. */
    private static final Set<Class<? extends Module>> TABLES =
            Set.of(Embedding.class, EmbeddingBag.class);

    private static final String KERNELS = "Linear, LSTM, GRU, Embedding and EmbeddingBag";

    private DynamicQuantization() {}

    /** Replaces all layers that the configuration is for. */
    static void apply(Module model, QConfig qconfig) {
        Set<Class<? extends Module>> types = new LinkedHashSet<>(TABLES);
        if (!qconfig.isWeightOnly()) {
            types.addAll(NETWORKS);
        }
        apply(model, qconfig, types);
    }

    static void apply(Module model, QConfig qconfig, Set<? extends Class<? extends Module>> types) {
        for (Class<? extends Module> type : types) {
            if (!NETWORKS.contains(type) && !TABLES.contains(type)) {
                throw new EspalierException(
                        "No dynamic kernel for "
                                + type.getSimpleName()
                                + "; there are "
                                + KERNELS
                                + ".");
            }
            if (qconfig.isWeightOnly() && !TABLES.contains(type)) {
                throw new EspalierException(
                        "A weight-only qconfig is for Embedding and EmbeddingBag; asked for "
                                + type.getSimpleName()
                                + ". Use QConfig.dynamic() for it.");
            }
        }
        Site.of(model).stream()
                .filter(site -> types.contains(site.module().getClass()))
                .forEach(Preparation::requireUnobserved);
        Map<String, Module> replacements = new LinkedHashMap<>();
        var known = new IdentityHashMap<Module, Module>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            model.namedModules()
                    .forEach((path, module) -> {
                        if (types.contains(module.getClass())) {
                            replacements.put(
                                    path,
                                    known.computeIfAbsent(
                                            module, layer -> dynamic(path, layer, qconfig)));
                        }
                    });
        }
        if (replacements.isEmpty()) {
            Conversion.requireUnconverted(model, List.of());
        }
        if (replacements.isEmpty() || replacements.containsKey("")) {
            throw new EspalierException(
                    replacements.isEmpty()
                            ? model.getClass().getSimpleName()
                                    + " has no layer to quantize dynamically; there are kernels"
                                    + " for "
                                    + KERNELS
                                    + "."
                            : "A "
                                    + model.getClass().getSimpleName()
                                    + " alone can't be replaced by its quantized form; put it in"
                                    + " a Sequential.");
        }
        replacements.forEach(model::replace);
    }

    /** The layer with small weights. */
    static Module dynamic(String path, Module layer, QConfig qconfig) {
        Module dynamic =
                QuantizedTable.isTable(layer)
                        ? QuantizedTable.of(path, layer, qconfig.tableWeight())
                        : DynamicLayer.of(path, layer, qconfig.packing());
        return Conversion.inPlaceOf(layer, dynamic);
    }
}
