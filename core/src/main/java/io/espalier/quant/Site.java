package io.espalier.quant;

import io.espalier.nn.Dropout;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Recipe;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.quant.fusion.TrainedTogether;
import io.espalier.quant.layer.ObservedRecurrent;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.quant.layer.QuantizedOperation;
import io.espalier.quant.layer.QuantizedTable;
import io.espalier.quant.observer.FixedQParamsObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.PlaceholderObserver;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.QatLayer;
import io.espalier.tensor.EspalierException;

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
        collect("", model, null, Site::isQuantizable, sites);
        return sites;
    }

    /** The places where nothing is observed, but whose layers have a form for integers. */
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
            if (!(module instanceof FusedReLU) || recipe != null) {
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
        return (module.getClass() == ReLU6.class || module.getClass() == Dropout.class)
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
            return QuantizedTable.isTable(module);
        }
        return hasWeight(module)
                || QuantizedOperation.exists(module)
                || module instanceof QuantStub
                || module instanceof DeQuantStub
                || module.getClass() == FloatFunctional.class;
    }

    /** Whether this is a layer with a weight, alone or fused. */
    public boolean hasWeight() {
        return hasWeight(module);
    }

    private static boolean hasWeight(Module module) {
        return module instanceof FusedReLU
                || module instanceof TrainedTogether
                || module instanceof QatLayer
                || PackedLayer.exists(module)
                || ObservedRecurrent.exists(module)
                || module instanceof ObservedRecurrent
                || QuantizedTable.isTable(module);
    }

    /** Whether this is a table of vectors, of which only the weight is quantized. */
    boolean isTable() {
        return QuantizedTable.isTable(module);
    }

    /** Makes the observer, or fake quantization, of the module's weight. */
    ObserverFactory weightFactory() {
        return isTable() ? qconfig.tableWeight() : qconfig.weight();
    }

    /** Whether the module's output is observed. */
    boolean isObserved() {
        return !(module instanceof DeQuantStub) && !qconfig.isFloat16();
    }

    /** Whether the module, once converted, must be able to quantize floats that it is handed. */
    boolean quantizesInput() {
        return (hasWeight() && !isTable()) || QuantizedOperation.exists(module);
    }

    /** Makes the observer of the module's output. */
    ObserverFactory outputFactory() {
        if (isTable()) {
            return PlaceholderObserver.with();
        }
        return QuantizedOperation.hasUnitRange(module)
                ? FixedQParamsObserver.with(1.0 / 256, 0).dtype(QuantizedType.QUINT8)
                : qconfig.activation();
    }

    /** Makes the observer of the module's input, which knows the module's place. */
    ObserverFactory inputFactory() {
        return () -> {
            Observer observer = qconfig.activation().make();
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

    /** The observer at a place of the module, where it was prepared. */
    Optional<Observer> observer(String place) {
        return module.namedChildren().get(place) instanceof Observer observer
                ? Optional.of(observer)
                : Optional.empty();
    }
}
