package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.layer.LayerKinds;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.qat.Rounding;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

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
        site.outputFactory().ifPresent(factory -> requireObserver(site, "activation", factory));
        if (site.hasWeight()) {
            requireObserver(site, "weight", site.weightFactory());
        }
    }

    static void requireUnobserved(Site site) {
        if (site.isObserved()) {
            throw new EspalierException(
                    "The model is prepared already: '"
                            + site.path()
                            + "' has an observer; run calibration data through it, then"
                            + " convert it.");
        }
    }

    private static void requireObserver(Site site, String what, ObserverFactory factory) {
        Observer made = factory.made();
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
        preparation.watch(model);
        sites.forEach(site -> preparation.plan(model, site));
        Site.passing(model).forEach(site -> preparation.plan(model, site));
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
                            + " model.qconfig(QConfig.forBackend(\"x86\")) first."
                            + Subclasses.leftAlone(model));
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
        if (!seen.add(module) || site.qconfig().isFloat16()) {
            return;
        }
        Module observed = site.kind().observed(site.placed());
        if (!observed.equals(module)) {
            steps.add(() -> {
                model.replace(site.path(), Replacements.inPlaceOf(module, observed));
                observed.onOutputFirst(observation.alreadyObserved());
                observation.observeInput(observed, site.inputFactory());
            });
            return;
        }
        @Nullable Observer output =
                site.outputFactory().map(factory -> observer(site, factory)).orElse(null);
        steps.add(() -> {
            if (output != null) {
                observe(site, output);
            } else if (site.kind().givesIntegers()) {
                module.onOutputFirst(observation.alreadyObserved());
            }
            if (site.kind().quantizesInput()) {
                observation.observeInput(module, site.inputFactory());
            }
        });
    }

    private static Observer observer(Site site, ObserverFactory factory) {
        Observer output = factory.made();
        output.standsAt(site.path());
        output.training(site.module().isTraining());
        return output;
    }

    private void observe(Site site, Observer output) {
        Module module = site.module();
        if (module.namedChildren().containsKey(Observer.OUTPUT)) { // arithmetic calls it itself
            module.replace(Observer.OUTPUT, output);
            output.onOutput(observation.alreadyObserved());
            return;
        }
        module.add(Observer.OUTPUT, output);
        if (site.kind().showsOutput()) {
            module.onOutputFirst(observation.output(site.kind().givesIntegers()));
        }
    }

    /** Follows what is observed through the layers that hand it on, and into those in floats. */
    private void watch(Module model) {
        Set<Module> watched = Collections.newSetFromMap(new IdentityHashMap<>());
        for (Module module : model.namedModules().values()) {
            if (!watched.add(module)) {
                continue;
            }
            if (LayerKinds.of(module).passesIntegers(module)) {
                steps.add(() -> {
                    module.onInput(observation.entering());
                    module.onOutputFirst(observation.leaving());
                });
            } else if (Conversion.computesInFloat(module)
                    && !LayerKinds.of(module).isQuantized()
                    && !module.namedChildren().isEmpty()) {
                steps.add(() -> module.onInput(observation.intoFloats()));
            }
        }
    }
}
