package io.espalier.quant;

import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** Replaces layers by such with small weights and float activations; needs no calibration. */
final class DynamicQuantization {
    /** The layers that are worth it: their time goes into reading weights. */
    static final Set<Class<? extends Module>> LAYERS =
            Set.of(Linear.class, io.espalier.nn.LSTM.class, io.espalier.nn.GRU.class);

    private DynamicQuantization() {}

    static void apply(Module model, QConfig qconfig, Set<? extends Class<? extends Module>> types) {
        for (Class<? extends Module> type : types) {
            if (!LAYERS.contains(type)) {
                throw new EspalierException(
                        "No dynamic kernel for "
                                + type.getSimpleName()
                                + "; there are Linear, LSTM and GRU.");
            }
        }
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
        if (replacements.isEmpty() || replacements.containsKey("")) {
            throw new EspalierException(
                    replacements.isEmpty()
                            ? model.getClass().getSimpleName()
                                    + " has no layer to quantize dynamically; there are kernels"
                                    + " for Linear, LSTM and GRU."
                            : "A "
                                    + model.getClass().getSimpleName()
                                    + " alone can't be replaced by its quantized form; put it in"
                                    + " a Sequential.");
        }
        replacements.forEach(model::replace);
    }

    /** The layer with small weights. */
    static DynamicLayer dynamic(String path, Module layer, QConfig qconfig) {
        DynamicLayer dynamic =
                switch (layer) {
                    case Linear linear -> DynamicLinear.of(path, linear, qconfig);
                    case Recurrent network -> DynamicRecurrent.of(path, network, qconfig);
                    default ->
                            throw new EspalierException(
                                    "No dynamic kernel for the " + layer + " at '" + path + "'.");
                };
        dynamic.packed();
        dynamic.training(layer.isTraining());
        return dynamic;
    }
}
