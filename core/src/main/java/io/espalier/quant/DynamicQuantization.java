package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.layer.LayerKind;
import io.espalier.quant.layer.LayerKinds;
import io.espalier.quant.layer.PlacedLayer;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** Replaces layers by such with small weights and float activations; needs no calibration. */
final class DynamicQuantization {
    private DynamicQuantization() {}

    /** Replaces all layers that the configuration is for. */
    static void apply(Module model, QConfig qconfig) {
        apply(
                model,
                qconfig,
                LayerKinds.all().stream()
                        .filter(LayerKind::isDynamic)
                        .filter(kind -> kind.isTable() || !qconfig.isWeightOnly())
                        .map(LayerKind::type)
                        .collect(Collectors.toSet()));
    }

    static void apply(Module model, QConfig qconfig, Set<? extends Class<?>> types) {
        Needed.of(model, "the model to quantize");
        types.forEach(type -> requireKernel(Needed.of(type, "a class of layers"), qconfig));
        Site.of(model).stream()
                .filter(site -> types.contains(site.module().getClass()))
                .forEach(Preparation::requireUnobserved);
        var replacements = new Replacements();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            model.namedModules()
                    .forEach((path, module) -> {
                        if (types.contains(module.getClass())) {
                            replacements.add(path, module, layer -> dynamic(path, layer, qconfig));
                        }
                    });
        }
        if (replacements.isEmpty()) {
            Conversion.requireUnconverted(model, List.of());
            throw new EspalierException(
                    model.getClass().getSimpleName()
                            + " has no layer to quantize dynamically; there are kernels for "
                            + names()
                            + "."
                            + Subclasses.leftAlone(model));
        }
        if (replacements.contains("")) {
            throw new EspalierException(
                    "A "
                            + model.getClass().getSimpleName()
                            + " alone can't be replaced by its quantized form; put it in a"
                            + " Sequential.");
        }
        replacements.apply(model);
    }

    private static void requireKernel(Class<?> type, QConfig qconfig) {
        LayerKind kind = LayerKinds.of(type);
        if (!kind.isDynamic()) {
            throw new EspalierException(
                    "No dynamic kernel for "
                            + type.getSimpleName()
                            + "; there are "
                            + names()
                            + ".");
        }
        if (qconfig.isWeightOnly() && !kind.isTable()) {
            throw new EspalierException(
                    "A weight-only qconfig is for Embedding and EmbeddingBag; asked for "
                            + type.getSimpleName()
                            + ". Use QConfig.dynamic() for it.");
        }
    }

    /** The layers that there are kernels for, as a sentence lists them. */
    private static String names() {
        List<String> names =
                LayerKinds.all().stream()
                        .filter(LayerKind::isDynamic)
                        .map(kind -> kind.type().getSimpleName())
                        .toList();
        return String.join(", ", names.subList(0, names.size() - 1)) + " and " + names.getLast();
    }

    /** The layer with small weights. */
    private static Module dynamic(String path, Module layer, QConfig qconfig) {
        return LayerKinds.of(layer)
                .dynamic(
                        new PlacedLayer(
                                path,
                                layer,
                                qconfig.activation(),
                                qconfig.packing(),
                                qconfig.tableWeight()));
    }
}
