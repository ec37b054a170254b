package io.espalier.quant.accuracy;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Site;
import io.espalier.quant.observer.FixedQParamsObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.SequencedSet;

/**
 * AdaRound's way through a model, layer by layer: where a layer's samples come from, and what is
 * kept of what was learned. The model itself changes at the end only.
 */
final class RoundingPass {
    private final Module reference;
    private final Module rounded;
    private final List<Tensor> calibration;
    private final AdaRound.Options options;

    /** What makes the results the model's, once all are there. */
    private final List<Runnable> steps = new ArrayList<>();

    RoundingPass(
            Module reference, Module rounded, List<Tensor> calibration, AdaRound.Options options) {
        this.reference = reference;
        this.rounded = rounded;
        this.calibration = calibration;
        this.options = options;
    }

    /** The sites that the first batch reaches, in the order in which it does. */
    List<Site> inOrder(List<Site> sites) {
        SequencedSet<Site> reached = new LinkedHashSet<>();
        List<Hook.Registration> hooks = new ArrayList<>();
        for (Site site : sites) {
            hooks.add(
                    site.module()
                            .onInput((module, tensors) -> {
                                reached.add(site);
                                return tensors;
                            }));
        }
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            reference.call(calibration.getFirst());
        } finally {
            hooks.forEach(Hook.Registration::close);
        }
        return List.copyOf(reached);
    }

    /** Learns one layer, and rounds it in the copy. */
    AdaRound.Layer round(Site site) {
        WeightedLayer original = WeightedLayer.at(reference, site.path(), "round");
        WeightedLayer copy = WeightedLayer.at(rounded, site.path(), "round");
        try (var scope = new PointerScope()) {
            QuantizationParameters grid = grid(site, original);
            LayerSamples samples = samples(original, copy);
            var learner = new RoundingLearner(original, grid, samples, options);
            Tensor nearest = learner.nearest();
            Tensor learned = learner.learn();
            double before = learner.error(nearest);
            double after = learner.error(learned);
            if (!Double.isFinite(before)) {
                throw new EspalierException(
                        "The calibration data gives '"
                                + site.path()
                                + "' values that are NaN or infinite; give other data.");
            }
            boolean better = after < before;
            Tensor kept = Tensors.keep((better ? learned : nearest).detach());
            copy.setWeight(kept);
            var qconfig =
                    new QConfig(
                            site.qconfig().activation(),
                            FixedQParamsObserver.with(grid),
                            site.qconfig().engine());
            steps.add(() -> {
                original.setWeight(kept);
                site.module().qconfig(qconfig);
            });
            return new AdaRound.Layer(site.path(), before, better ? after : before);
        }
    }

    private static QuantizationParameters grid(Site site, WeightedLayer layer) {
        Observer observer = site.qconfig().weight().made();
        observer.standsAt(site.path() + ".weight");
        observer.call(layer.weight());
        return observer.quantizationParameters();
    }

    private LayerSamples samples(WeightedLayer original, WeightedLayer copy) {
        var samples = new LayerSamples(original, options.samples());
        var random = new Random(options.seed());
        int share = Math.ceilDiv(options.samples(), calibration.size());
        try (var noGrad = new NoGradGuard()) {
            for (Tensor batch : calibration) {
                try (var scope = new PointerScope()) {
                    samples.add(
                            inputOf(reference, original.layer(), batch),
                            inputOf(rounded, copy.layer(), batch),
                            share,
                            random);
                }
            }
        }
        return samples;
    }

    /** Runs a model until it calls a layer, and tells what the layer is called with. */
    private static Tensor inputOf(Module model, Module layer, Tensor batch) {
        Hook.Registration hook =
                layer.onInput((module, tensors) -> {
                    throw new Reached(tensors.getFirst());
                });
        try {
            model.call(batch);
        } catch (Reached reached) {
            return reached.input;
        } finally {
            hook.close();
        }
        throw new EspalierException(
                "A batch of the calibration data does not reach the " + layer + ".");
    }

    /** Gives the model the weights that were learned, and the grids that they lie on. */
    void finish() {
        steps.forEach(Runnable::run);
    }

    /** Ends a model's call where the rest of it would be for nothing. */
    @SuppressWarnings("serial") // thrown and caught here
    private static final class Reached extends RuntimeException {
        final Tensor input;

        Reached(Tensor input) {
            super(null, null, false, false);
            this.input = input;
        }
    }
}
