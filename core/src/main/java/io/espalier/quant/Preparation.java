package io.espalier.quant;

import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.quant.layer.ObservedRecurrent;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.qat.Rounding;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/** Puts observers into a model where PyTorch puts them. */
final class Preparation {
    private final Observation observation = new Observation();
    private final List<Runnable> steps = new ArrayList<>();
    private final Set<Module> seen = Collections.newSetFromMap(new IdentityHashMap<>());

    private Preparation() {}

    /** Prepares a model to be calibrated. */
    static void prepare(Module model) {
        Site.of(model).forEach(Preparation::requireObservers);
        observe(model);
    }

    /**
     * Refuses a model that is prepared or converted, or configured for training.
     *
     * @throws EspalierException if it is
     */
    static void requireUnprepared(Module model) {
        List<Site> sites = Site.of(model);
        sites.forEach(Preparation::requireObservers);
        requireFloat(model, sites);
    }

    /**
     * Refuses a model that is prepared or converted.
     *
     * @throws EspalierException if it is
     */
    static void requireFloat(Module model) {
        requireFloat(model, Site.of(model));
    }

    private static void requireFloat(Module model, List<Site> sites) {
        Conversion.requireUnconverted(model, sites);
        sites.forEach(Preparation::requireUnobserved);
    }

    private static void requireObservers(Site site) {
        requireObserver(site, "activation", site.outputFactory());
        if (site.hasWeight()) {
            requireObserver(site, "weight", site.weightFactory());
        }
    }

    static void requireUnobserved(Site site) {
        if (site.observer(Observer.OUTPUT).isPresent()) {
            throw new EspalierException(
                    "The model is prepared already: '"
                            + site.path()
                            + "' has an observer; run calibration data through it, then"
                            + " convert it.");
        }
    }

    private static void requireObserver(Site site, String what, ObserverFactory factory) {
        Observer made = factory.make();
        if (made instanceof Rounding) {
            throw site.unfit(
                    what,
                    made,
                    "rounds in training; use QConfig.forBackend(\"x86\") to calibrate, or"
                            + " prepareQat to train.");
        }
    }

    /** Puts in what sees the outputs: observers, or fake quantizations. */
    static void observe(Module model) {
        List<Site> sites = Site.toPrepare(model);
        var preparation = new Preparation();
        sites.forEach(site -> preparation.plan(model, site));
        model.namedModules().values().stream()
                .filter(Transparent::is)
                .filter(preparation.seen::add)
                .forEach(preparation::watch);
        preparation.steps.forEach(Runnable::run);
    }

    static void requireSites(Module model, List<Site> sites) {
        Conversion.requireUnconverted(model, sites);
        String name = model.getClass().getSimpleName();
        if (sites.isEmpty()) {
            throw new EspalierException(
                    "Nothing to prepare in "
                            + name
                            + ": no layer that can be quantized has a qconfig; call"
                            + " model.qconfig(QConfig.forBackend(\"x86\")) first.");
        }
        for (Site site : sites) {
            if (site.path().isEmpty()) {
                throw new EspalierException(
                        "A "
                                + name
                                + " alone can't be replaced by its quantized form; put it in a"
                                + " Sequential.");
            }
            requireUnobserved(site);
        }
    }

    private void plan(Module model, Site site) {
        Module module = site.module();
        if (!seen.add(module) || !site.isObserved()) {
            return;
        }
        if (module instanceof Recurrent network && ObservedRecurrent.exists(network)) {
            var observed =
                    new ObservedRecurrent(
                            site.path(),
                            network,
                            site.qconfig().activation(),
                            site.qconfig().packing());
            steps.add(() -> {
                model.replace(site.path(), observed);
                observed.takeInputHooks(network);
                observed.takeOutputHooks(network);
                observed.onOutputFirst(observation.alreadyObserved());
                observed.onInput(observation.input(site.inputFactory()));
            });
            return;
        }
        Observer output = site.outputFactory().make();
        output.standsAt(site.path());
        output.training(module.isTraining());
        steps.add(() -> {
            if (module instanceof FloatFunctional) {
                module.replace(Observer.OUTPUT, output);
                output.onOutput(observation.alreadyObserved());
                return;
            }
            module.add(Observer.OUTPUT, output);
            if (site.isTable()) {
                return; // it says that the table is prepared, and sees nothing
            }
            module.onOutputFirst(observation.output());
            if (site.quantizesInput()) {
                module.onInput(observation.input(site.inputFactory()));
            }
        });
    }

    private void watch(Module transparent) {
        steps.add(() -> {
            transparent.onInput(observation.entering());
            transparent.onOutputFirst(observation.leaving());
        });
    }
}
