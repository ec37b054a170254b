package io.espalier.onnx.quant;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.onnx.lower.LibtorchSession;
import io.espalier.onnx.lower.LoweredFile;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.Pace.Work;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.half.OpenedHalves;
import io.espalier.onnx.repair.Repair;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.accuracy.SequentialCorrection;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.LayerKinds;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * One model being quantized for libtorch's integer kernels: lowered, calibrated once, all layers in
 * integers, biases corrected in sequence; where that loses too much, some go back to floats.
 */
final class LibtorchRun {
    /** How many of the layers go back to floats, attempt after attempt; some layer stays. */
    private static final double[] PARTS = {1 / 16.0, 1 / 8.0, 1 / 4.0, 1 / 2.0, 15 / 16.0};

    private final OnnxModel original;
    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final Judgement judgement;
    private final Journal journal;
    private final LoweredModel lowered;

    LibtorchRun(
            OnnxModel original,
            CalibrationData data,
            QuantizationSettings settings,
            Journal journal) {
        this.journal = journal;
        this.original = original;
        this.data = data;
        this.settings = settings;
        begin(Work.PREPARATION, "running the float model");
        this.judgement = new Judgement(original, data, settings);
        this.lowered = Lowering.lower(Repair.run(OpenedHalves.open(original)).model());
    }

    /** Some layers in floats, and how far the results are from the float model's then. */
    private record Attempt(Set<String> inFloat, double drop, Optional<Fit> fit) {}

    /** A graph of integer kernels with some layers in floats. */
    private record Fit(GraphModule graph, Set<String> inFloat) {}

    LibtorchResult run() {
        int before = Libtorch.threads();
        Libtorch.threads(settings.threads());
        try (var noGrad = new NoGradGuard()) {
            return quantized();
        } finally {
            Libtorch.threads(before);
        }
    }

    private LibtorchResult quantized() {
        begin(Work.OPERATORS, "finding ranges");
        GraphModule reference = calibrated();
        GraphModule floats = GraphQuantization.inFloat(reference, path -> true);
        try (var scope = new PointerScope()) {
            Tensor[] joined = JoinedBatches.of(lowered, data.batches()).toArray(Tensor[]::new);
            return searched(reference, floats, SequentialCorrection.of(floats, joined));
        }
    }

    private GraphModule calibrated() {
        GraphModule module = lowered.module();
        module.qconfig(QConfig.forBackend(backend()));
        module.modules()
                .forEach((path, layer) -> {
                    if (settings.keepsFloat(path)) {
                        layer.qconfig(null);
                    }
                });
        requireLayers(module);
        GraphModule prepared = GraphQuantization.prepare(module);
        for (Map<String, Tensor> batch : data.batches()) {
            try (var scope = new PointerScope()) {
                prepared.callAll(lowered.ordered(batch));
            }
        }
        return GraphQuantization.convertToReference(prepared);
    }

    private void requireLayers(GraphModule module) {
        List<String> layers = new ArrayList<>();
        module.modules()
                .forEach((path, layer) -> {
                    if (LayerKinds.of(layer).isLinearMap()) {
                        layers.add(path);
                    }
                });
        if (layers.isEmpty()) {
            throw new EspalierException(
                    "Nothing to quantize for libtorch: the model has no convolution or linear layer"
                            + " with constant weights in floats.");
        }
        settings.requireKnown(layers);
        if (layers.stream().allMatch(settings::keepsFloat)) {
            throw new EspalierException(
                    "Nothing to quantize for libtorch: all of the model's layers are kept float.");
        }
    }

    private String backend() {
        if (!Engine.available().contains(Engine.ONEDNN)) {
            return "qnnpack";
        }
        return settings.reducedRange() ? "x86" : "onednn";
    }

    private LibtorchResult searched(
            GraphModule reference, GraphModule floats, SequentialCorrection correction) {
        var fits = new Fits(reference, correction);
        settings.progress().expect(Work.CONVOLUTIONS, 1 + 2 * PARTS.length);
        Attempt best = attempt(fits, Set.of());
        LayerCosts costs = costs(floats, fits, reference);
        if (best.drop() > settings.maxDrop()) {
            best = givenBack(fits, best, costs);
        }
        Set<String> inFloat = best.inFloat();
        Fit fit = best.fit().orElseGet(() -> fits.of(inFloat));
        settings.progress().expect(Work.CONVOLUTIONS, 0);
        begin(Work.MEASURING, "measuring");
        return result(fit, best.drop(), costs, reference);
    }

    private LayerCosts costs(GraphModule floats, Fits fits, GraphModule reference) {
        List<Tensor> first = inOrder(data.first());
        LayerCosts costs =
                LayerCosts.ofTimes(
                        journal.numbers(
                                "milliseconds in floats", () -> LayerCosts.times(floats, first)),
                        journal.numbers(
                                "milliseconds in integers",
                                () -> LayerCosts.times(fits.of(Set.of()).graph(), first)));
        costs.measureErrors(reference, first);
        return costs;
    }

    /**
     * With more and more layers in floats until the budget holds: the first ones, whose errors all
     * others pass on, or those whose integers are off most for the time that they save.
     */
    private Attempt givenBack(Fits fits, Attempt all, LayerCosts costs) {
        Attempt best = all;
        int layers = costs.inOrder().size();
        for (double part : PARTS) {
            int count = Math.clamp(Math.round(part * layers), 0, layers - 1);
            for (List<String> order : List.of(costs.inOrder(), costs.worstFirst())) {
                Attempt next = attempt(fits, new LinkedHashSet<>(order.subList(0, count)));
                if (next.drop() < best.drop()) {
                    best = next;
                }
                if (best.drop() <= settings.maxDrop()) {
                    return best;
                }
            }
        }
        return best;
    }

    private Attempt attempt(Fits fits, Set<String> inFloat) {
        double drop =
                journal.number(
                        "lost without %d: %s"
                                .formatted(inFloat.size(), Digest.of(new TreeSet<>(inFloat))),
                        () ->
                                judgement.drop(
                                        new LibtorchSession(
                                                lowered.with(fits.of(inFloat).graph()))));
        settings.progress()
                .say(
                        String.format(
                                Locale.ROOT,
                                "%d layers in floats, %.4f lost",
                                inFloat.size(),
                                drop));
        return new Attempt(inFloat, drop, fits.known(inFloat));
    }

    /** Fits layers, and keeps the last fit. */
    private final class Fits {
        private final GraphModule reference;
        private final SequentialCorrection correction;
        private @Nullable Fit last;

        Fits(GraphModule reference, SequentialCorrection correction) {
            this.reference = reference;
            this.correction = correction;
        }

        Fit of(Set<String> inFloat) {
            return known(inFloat).orElseGet(() -> fitted(inFloat));
        }

        Optional<Fit> known(Set<String> inFloat) {
            return Optional.ofNullable(last).filter(fit -> fit.inFloat().equals(inFloat));
        }

        private Fit fitted(Set<String> inFloat) {
            begin(Work.CONVOLUTIONS, "fitting layers, %d in floats".formatted(inFloat.size()));
            GraphModule explicit = GraphQuantization.inFloat(reference, inFloat::contains);
            var fit = new Fit(GraphQuantization.lower(correction.apply(explicit)), inFloat);
            last = fit;
            return fit;
        }
    }

    private List<Tensor> inOrder(Map<String, Tensor> batch) {
        return lowered.ordered(batch);
    }

    private LibtorchResult result(Fit fit, double drop, LayerCosts costs, GraphModule reference) {
        LoweredModel small = lowered.with(fit.graph());
        return new LibtorchResult(
                LoweredFile.of(original, small),
                settings.task().isPresent() ? judgement.distance(new LibtorchSession(small)) : drop,
                judgement.score(new LibtorchSession(small)),
                judgement.time(new LibtorchSession(small)),
                original.byteSize(),
                fit.graph().stateDict().values().stream().mapToLong(Tensor::nbytes).sum(),
                layers(fit, costs, reference));
    }

    private static List<Layer> layers(Fit fit, LayerCosts costs, GraphModule reference) {
        List<Layer> layers = new ArrayList<>();
        reference
                .modules()
                .forEach((path, module) -> {
                    if (module instanceof FusedChain chain
                            && chain.weightParameters().isPresent()) {
                        boolean inFloat = fit.inFloat().contains(path);
                        layers.add(
                                new Layer(
                                        path,
                                        name(chain),
                                        inFloat ? "float" : "int8",
                                        costs.describe(path)));
                    }
                });
        return layers;
    }

    private static String name(Module chain) {
        String printed = chain.toString();
        return printed.substring(0, Math.max(printed.indexOf('('), 0)).toLowerCase(Locale.ROOT);
    }

    private void begin(Work work, String words) {
        settings.progress().begin(work, words);
    }
}
