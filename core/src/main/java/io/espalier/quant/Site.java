package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.nn.Recipe;
import io.espalier.quant.layer.LayerKind;
import io.espalier.quant.layer.LayerKinds;
import io.espalier.quant.layer.PlacedLayer;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.qat.Rounding;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BiPredicate;

/**
 * A module that is quantized: a layer, a stub, or a fused pair as a whole.
 *
 * @param path where it stands in the model
 * @param module the module
 * @param qconfig the configuration that holds for it, its own or inherited
 */
@Internal
public record Site(String path, Module module, QConfig qconfig) {
    /**
     * The sites of a float model that is to be prepared, in the order of its modules.
     *
     * @throws EspalierException if there are none, or the model is prepared or converted already
     */
    public static List<Site> toPrepare(Module model) {
        List<Site> sites = of(model);
        Preparation.requireSites(model, sites);
        return sites;
    }

    /** The sites of a model, in the order of its modules. */
    static List<Site> of(Module model) {
        List<Site> sites = new ArrayList<>();
        collect("", Needed.of(model, "the model to quantize"), null, Site::isQuantizable, sites);
        return sites;
    }

    /** The places whose layers take integers as they are and give such. */
    static List<Site> passing(Module model) {
        List<Site> sites = new ArrayList<>();
        collect("", model, null, Site::isPassing, sites);
        return sites;
    }

    private static void collect(
            String path,
            Module module,
            @Nullable Recipe inherited,
            BiPredicate<Module, @Nullable Recipe> wanted,
            List<Site> sites) {
        Recipe recipe = module.hasQconfig() ? module.qconfig().orElse(null) : inherited;
        if (wanted.test(module, recipe)) {
            if (recipe != null) {
                sites.add(new Site(path, module, configuration(path, recipe)));
            }
            if (recipe != null || !LayerKinds.of(module).isComposed()) {
                return;
            }
        }
        module.namedChildren()
                .forEach((name, child) ->
                        collect(
                                path.isEmpty() ? name : path + "." + name,
                                child,
                                recipe,
                                wanted,
                                sites));
    }

    private static boolean isPassing(Module module, @Nullable Recipe recipe) {
        return LayerKinds.of(module).passesIntegers(module)
                && recipe instanceof QConfig qconfig
                && !qconfig.isFloat16()
                && !qconfig.isWeightOnly();
    }

    private static QConfig configuration(String path, Recipe recipe) {
        if (recipe instanceof QConfig qconfig) {
            return qconfig;
        }
        throw new EspalierException(
                "The qconfig of '"
                        + path
                        + "' is a "
                        + recipe.getClass().getSimpleName()
                        + "; quantization needs a QConfig, such as QConfig.forBackend(\"x86\").");
    }

    private static boolean isQuantizable(Module module, @Nullable Recipe recipe) {
        if (recipe instanceof QConfig qconfig && qconfig.isFloat16()) {
            return module.namedChildren().isEmpty() && !module.ownParameters().isEmpty();
        }
        if (recipe instanceof QConfig qconfig && qconfig.isWeightOnly()) {
            return LayerKinds.of(module).isTable();
        }
        return LayerKinds.of(module).isQuantized();
    }

    /** What is known of the module's class. */
    LayerKind kind() {
        return LayerKinds.of(module);
    }

    /** The module with what its configuration says. */
    PlacedLayer placed() {
        return new PlacedLayer(
                path, module, qconfig.activation(), qconfig.packing(), qconfig.tableWeight());
    }

    /** Whether this is a layer with a weight, alone or fused. */
    public boolean hasWeight() {
        return kind().hasWeight();
    }

    /** Makes the observer, or fake quantization, of the module's weight. */
    ObserverFactory weightFactory() {
        return kind().isTable() ? qconfig.tableWeight() : qconfig.weight();
    }

    /** Makes the observer of the module's output, if it is observed. */
    Optional<ObserverFactory> outputFactory() {
        boolean trained = qconfig.activation().made() instanceof Rounding && module.isTraining();
        return qconfig.isFloat16()
                ? Optional.empty()
                : kind().observer(qconfig.activation(), trained);
    }

    /** Makes the observer of the module's input, which knows the module's place. */
    ObserverFactory inputFactory() {
        return () -> {
            Observer observer = qconfig.activation().made();
            observer.standsAt(path);
            observer.training(module.isTraining());
            return observer;
        };
    }

    /**
     * The error of a configuration that a way of preparing has no use for.
     *
     * @param what what is observed, the activation or the weight
     * @param why the end of the sentence, after "which"
     */
    EspalierException unfit(String what, Observer made, String why) {
        return new EspalierException(
                "The qconfig of '"
                        + path
                        + "' has a "
                        + made.getClass().getSimpleName()
                        + " for its "
                        + what
                        + ", which "
                        + why);
    }

    /**
     * Refuses a layer that is made of several and has a hook on one of these, which would no longer
     * be called.
     *
     * @throws EspalierException if it has
     */
    void requireNoHooksInside() {
        module.namedModules()
                .forEach((name, part) -> {
                    if (!name.isEmpty()
                            && !(part instanceof Observer)
                            && part.hasHookBeside(QuantizationHook.class)) {
                        throw new EspalierException(
                                "'"
                                        + path
                                        + "' becomes one layer, and its part '"
                                        + name
                                        + "' has a hook, which would no longer be called; put the"
                                        + " hook on '"
                                        + path
                                        + "' itself.");
                    }
                });
    }

    /** Whether the module has an observer, so that the model is prepared. */
    boolean isObserved() {
        return placed().observer(Observer.OUTPUT).isPresent();
    }
}
