package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.layer.HalfPrecision;
import io.espalier.quant.layer.LayerKinds;
import io.espalier.quant.layer.SavedForm;
import io.espalier.quant.observer.Observer;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

import java.util.List;
import java.util.Set;

/** Puts layers with int8 kernels where a prepared and calibrated model has float layers. */
final class Conversion {
    private Conversion() {}

    /**
     * Converts a model.
     *
     * @param inFloat the paths of the modules whose own arithmetic is to run in floats
     */
    static void convert(Module model, Set<String> inFloat) {
        FloatInside.require(model, inFloat);
        List<Site> sites = Site.of(model);
        requireUnconverted(model, sites);
        if (sites.stream().noneMatch(site -> site.qconfig().isFloat16() || site.isObserved())) {
            throw unprepared(model);
        }
        sites.forEach(site -> site.qconfig().engine().required());
        var replacements = new Replacements();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            for (Site site : sites) {
                site.requireNoHooksInside();
                replacements.add(site.path(), site.module(), layer -> converted(site));
            }
        }
        for (Site site : Site.passing(model)) {
            replacements.add(
                    site.path(), site.module(), layer -> site.kind().converted(site.placed()));
        }
        replacements.apply(model);
        finish(model);
        FloatInside.mark(model, inFloat);
    }

    private static EspalierException unprepared(Module model) {
        String name = model.getClass().getSimpleName();
        return new EspalierException(
                model.namedModules().values().stream().anyMatch(Observer.class::isInstance)
                        ? name
                                + " was prepared, but no layer that has an observer has a qconfig"
                                + " for 8 bit now; give it the qconfig that it was prepared with."
                        : name
                                + " is not prepared, so no range is known; call"
                                + " Quantization.prepare(model) and run calibration data through it"
                                + " before convert.");
    }

    /**
     * Refuses a model in which nothing is left to quantize, since all is quantized.
     *
     * @param sites the places that have a configuration
     */
    static void requireUnconverted(Module model, List<Site> sites) {
        if (sites.stream().allMatch(site -> HalfPrecision.isNarrow(site.module()))) {
            model.namedModules()
                    .forEach((path, module) -> {
                        if (isConverted(module)) {
                            throw new EspalierException(
                                    model.getClass().getSimpleName()
                                            + " is converted already: '"
                                            + path
                                            + "' is a "
                                            + module.getClass().getSimpleName()
                                            + "; take a copy of the model in floats.");
                        }
                    });
        }
    }

    private static boolean isConverted(Module module) {
        return module instanceof SavedForm || HalfPrecision.isNarrow(module);
    }

    /** Takes the observing hooks off, and sees to it that floats reach what computes in floats. */
    static void finish(Module model) {
        model.namedModules()
                .forEach((path, module) -> {
                    if (!path.isEmpty()) {
                        LayerKinds.of(module)
                                .amongIntegers()
                                .ifPresent(fresh -> model.replace(path, fresh));
                    }
                });
        for (Module module : model.namedModules().values()) {
            module.removeHooks(Observation.ObservingHook.class);
            module.wrapHooks(FloatHook::around);
            if (computesInFloat(module)) {
                module.onInput(DequantizeHook.INSTANCE);
            }
        }
        model.removeHooks(DequantizeHook.class);
        model.onOutput(DequantizeHook.INSTANCE);
    }

    /**
     * Whether a module computes by itself, and in floats: one without children, or a layer that has
     * some, such as an attention or a user's subclass of a layer.
     */
    static boolean computesInFloat(Module module) {
        boolean byItself =
                module.namedChildren().isEmpty() || LayerKinds.extended(module).isPresent();
        boolean takesIntegers =
                module instanceof SavedForm form
                        ? form.takesIntegers()
                        : LayerKinds.of(module).passesIntegers(module)
                                || LayerKinds.of(module).isComposed();
        return byItself && !takesIntegers;
    }

    private static Module converted(Site site) {
        if (!site.qconfig().isFloat16()) {
            return site.kind().converted(site.placed());
        }
        return site.kind().hasDynamicForm()
                ? site.kind().dynamic(site.placed())
                : HalfPrecision.of(site.path(), site.module());
    }
}
