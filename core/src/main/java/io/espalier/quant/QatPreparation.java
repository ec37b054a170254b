package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.observer.NoopObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.tensor.EspalierException;

import java.util.List;

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
        var replacements = new Replacements();
        for (Site site : sites) {
            if (site.kind().isTrained()) {
                site.requireNoHooksInside();
                replacements.add(
                        site.path(),
                        site.module(),
                        layer -> site.kind().trained(site.placed(), rounding(site)));
            }
        }
        replacements.apply(model);
        Preparation.observe(model);
    }

    private static void requireFakeQuantization(Site site) {
        if (!site.kind().isTable()) {
            requireFakeQuantization(site, "activation", site.qconfig().activation().made());
        }
        if (site.hasWeight()) {
            requireFakeQuantization(site, "weight", site.weightFactory().made());
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

    private static Observer rounding(Site site) {
        Observer rounding = site.weightFactory().made();
        rounding.standsAt(site.path() + ".weight");
        return rounding;
    }
}
