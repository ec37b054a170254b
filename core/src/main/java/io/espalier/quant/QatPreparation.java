package io.espalier.quant;

import io.espalier.nn.Convolution;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.quant.fusion.TrainedTogether;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.quant.layer.QuantizedTable;
import io.espalier.quant.observer.NoopObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.quant.qat.FakeQuantizedParameter;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.quant.qat.QatLayer;
import io.espalier.tensor.EspalierException;

import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Puts fake quantization into a model: layers with a weight become such that train rounded, and
 * outputs go through fake quantizations where an observer would stand.
 */
final class QatPreparation {
    private QatPreparation() {}

    static void prepare(Module model) {
        if (!model.isTraining()) {
            throw new EspalierException(
                    model.getClass().getSimpleName()
                            + " is in eval mode, and prepareQat prepares for training; call train()"
                            + " first, or prepare() to calibrate only.");
        }
        List<Site> sites = Site.toPrepare(model);
        sites.forEach(QatPreparation::requireFakeQuantization);
        Map<String, Module> replacements = new LinkedHashMap<>();
        IdentityHashMap<Module, Module> known = new IdentityHashMap<>();
        for (Site site : sites) {
            if (trains(site.module())) {
                replacements.put(
                        site.path(),
                        known.computeIfAbsent(site.module(), module -> inTraining(site)));
            }
        }
        replacements.forEach(model::replace);
        Preparation.observe(model);
    }

    private static void requireFakeQuantization(Site site) {
        if (!site.isTable()) {
            requireFakeQuantization(site, "activation", site.qconfig().activation().make());
        }
        if (site.hasWeight()) {
            requireFakeQuantization(site, "weight", site.weightFactory().make());
        }
    }

    private static void requireFakeQuantization(Site site, String what, Observer made) {
        if (!(made instanceof FakeQuantize
                || made instanceof LearnableFakeQuantize
                || made instanceof NoopObserver)) {
            throw site.unfit(
                    what,
                    made,
                    "does not round in training; use QConfig.qatForBackend(\"x86\"), or"
                            + " FakeQuantize.with(…).");
        }
    }

    /**
     * Whether a layer's weight is rounded in training; others are observed at their output only.
     */
    private static boolean trains(Module module) {
        return module instanceof FusedReLU
                || module instanceof TrainedTogether
                || QuantizedTable.isTable(module)
                || (PackedLayer.exists(module)
                        && !(module instanceof Convolution c && c.isTransposed()));
    }

    private static Module inTraining(Site site) {
        Observer rounding = site.weightFactory().make();
        rounding.standsAt(site.path() + ".weight");
        if (site.isTable()) {
            return tableInTraining(site.module(), rounding);
        }
        return Conversion.inPlaceOf(site.module(), QatLayer.of(site.module(), rounding));
    }

    /** The same table with its weight rounded in every call. */
    private static Module tableInTraining(Module table, Observer rounding) {
        Module rounded = table.alias();
        rounded.add(FakeQuantizedParameter.WEIGHT.child(), rounding);
        rounded.parametrize(FakeQuantizedParameter.WEIGHT.name(), FakeQuantizedParameter.WEIGHT);
        return rounded;
    }
}
