package io.espalier.quant;

import io.espalier.nn.Dropout;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.quant.fusion.TrainedTogether;
import io.espalier.quant.layer.DeQuantize;
import io.espalier.quant.layer.DynamicLayer;
import io.espalier.quant.layer.HalfPrecision;
import io.espalier.quant.layer.ObservedRecurrent;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.quant.layer.Packing;
import io.espalier.quant.layer.QFunctional;
import io.espalier.quant.layer.Quantize;
import io.espalier.quant.layer.QuantizedDropout;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.quant.layer.QuantizedOperation;
import io.espalier.quant.layer.QuantizedReLU6;
import io.espalier.quant.layer.QuantizedTable;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.qat.FakeQuantizedParameter;
import io.espalier.quant.qat.QatLayer;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.jspecify.annotations.Nullable;

import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
        if (sites.stream()
                .noneMatch(site ->
                        site.qconfig().isFloat16() || site.observer(Observer.OUTPUT).isPresent())) {
            throw new EspalierException(
                    model.getClass().getSimpleName()
                            + " is not prepared, so no range is known; call"
                            + " Quantization.prepare(model) and run calibration data through it"
                            + " before convert.");
        }
        sites.forEach(site -> site.qconfig().engine().required());
        Map<String, Module> replacements = new LinkedHashMap<>();
        var known = new IdentityHashMap<Module, Module>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            for (Site site : sites) {
                replacements.put(
                        site.path(),
                        known.computeIfAbsent(site.module(), module -> converted(site)));
            }
        }
        for (Site site : Site.passing(model)) {
            replacements.put(
                    site.path(), known.computeIfAbsent(site.module(), Conversion::passing));
        }
        replacements.forEach(model::replace);
        finish(model);
        FloatInside.mark(model, inFloat);
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
        return module instanceof QuantizedLayer
                || module instanceof QuantizedTable
                || module instanceof DynamicLayer
                || module instanceof QFunctional
                || HalfPrecision.isNarrow(module);
    }

    /** Takes the observing hooks off, and sees to it that floats reach what computes in floats. */
    static void finish(Module model) {
        model.namedModules()
                .forEach((path, module) -> {
                    if (module.getClass() == FloatFunctional.class) {
                        model.replace(path, new QFunctional.InFloat());
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

    private static boolean computesInFloat(Module module) {
        return (module.namedChildren().isEmpty() || module instanceof MultiheadAttention)
                && !(module instanceof QuantizedLayer)
                && !(module instanceof DeQuantize)
                && !Transparent.is(module);
    }

    /** A layer that keeps the scale of its input. */
    private static Module passing(Module layer) {
        Module passing =
                layer instanceof Dropout dropout
                        ? new QuantizedDropout(dropout.p())
                        : new QuantizedReLU6();
        return inPlaceOf(layer, passing);
    }

    private static Module converted(Site site) {
        Module module = site.module();
        if (site.qconfig().isFloat16()) {
            return DynamicLayer.exists(module) || site.isTable()
                    ? DynamicQuantization.dynamic(site.path(), module, site.qconfig())
                    : HalfPrecision.of(site.path(), module);
        }
        Packing packing = site.qconfig().packing();
        Module converted =
                switch (module) {
                    case DeQuantStub stub -> new DeQuantize();
                    case QuantStub stub -> new Quantize(output(site));
                    case FloatFunctional functional -> new QFunctional(outputIfSeen(site));
                    case FusedReLU fused -> weighted(site, fused.layer(), true, packing);
                    case QatLayer qat -> trained(site, qat);
                    case ObservedRecurrent observed ->
                            observed.quantized(site.path(), packing, output(site), input(site));
                    case Module table when site.isTable() -> table(site);
                    case TrainedTogether fused ->
                            throw new EspalierException(
                                    "'"
                                            + site.path()
                                            + "' was fused for training and has no int8 kernel;"
                                            + " prepare the model by prepareQat, or fuse it by"
                                            + " fuseModules in eval mode.");
                    case Module layer when QuantizedOperation.exists(layer) ->
                            QuantizedOperation.of(layer, output(site), input(site));
                    default -> weighted(site, module, false, packing);
                };
        return inPlaceOf(module, converted);
    }

    /** A module that takes a layer's place, mode and hooks. */
    static Module inPlaceOf(Module layer, Module made) {
        made.training(layer.isTraining());
        made.takeInputHooks(layer);
        made.takeOutputHooks(layer);
        return made;
    }

    /** The weight is quantized as the layer's own fake quantization learned to. */
    private static Module trained(Site site, QatLayer qat) {
        var learned =
                new Packing(() -> qat.fakeQuantize().<Observer>copy(), site.qconfig().engine());
        return weighted(site, qat.folded(), qat.hasReLU(), learned);
    }

    /** The rows are quantized as their own fake quantization learned to, if they have one. */
    private static Module table(Site site) {
        @Nullable Module learned =
                site.module().namedChildren().get(FakeQuantizedParameter.WEIGHT.child());
        if (learned == null) {
            return QuantizedTable.of(site.path(), site.module(), site.weightFactory());
        }
        Module plain = site.module().alias();
        plain.unparametrize(FakeQuantizedParameter.WEIGHT.name(), FakeQuantizedParameter.WEIGHT);
        return QuantizedTable.of(site.path(), plain, () -> learned.<Observer>copy());
    }

    private static Module weighted(Site site, Module layer, boolean relu, Packing packing) {
        return PackedLayer.of(site.path(), layer, relu, packing, output(site), input(site));
    }

    private static @Nullable Range input(Site site) {
        return site.observer(Observer.INPUT)
                .map(observer -> Range.of(site.path(), observer.quantizationParameters()))
                .orElse(null);
    }

    /** The range of arithmetic, of which adding and multiplying numbers are not observed. */
    private static @Nullable Range outputIfSeen(Site site) {
        boolean unseen =
                site.observer(Observer.OUTPUT)
                        .filter(observer -> !observer.hasObserved())
                        .isPresent();
        return unseen ? null : output(site);
    }

    private static Range output(Site site) {
        Observer observer =
                site.observer(Observer.OUTPUT)
                        .orElseThrow(() ->
                                new EspalierException(
                                        "'"
                                                + site.path()
                                                + "' was added after prepare and has no"
                                                + " observer; prepare the model again."));
        return Range.of(site.path(), observer.quantizationParameters());
    }
}
