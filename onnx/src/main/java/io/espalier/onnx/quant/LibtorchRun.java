package io.espalier.onnx.quant;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.onnx.lower.LibtorchSession;
import io.espalier.onnx.lower.LoweredFile;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.LibtorchSearch.Attempt;
import io.espalier.onnx.quant.LibtorchSearch.Fit;
import io.espalier.onnx.quant.Pace.Work;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.conv.FewExamples;
import io.espalier.onnx.quant.graph.GraphLosses;
import io.espalier.onnx.quant.half.OpenedHalves;
import io.espalier.onnx.repair.Repair;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.accuracy.SequentialCorrection;
import io.espalier.quant.graph.RoundedValue;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.LayerKinds;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/**
 * One model being quantized for libtorch's integer kernels: lowered, calibrated once, all layers in
 * integers, biases corrected in sequence; where that loses too much, some go back to floats.
 */
final class LibtorchRun {
    /** Any will do; the same one makes the same model. */
    private static final long SEED = 1;

    private final OnnxModel original;
    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final Judgement judgement;
    private final Journal journal;
    private final OnnxModel repaired;
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
        this.judgement =
                new Judgement(
                        ReferenceOutputs.of(original, data.batches(), settings.threads()),
                        data,
                        settings);
        this.repaired = Repair.run(OpenedHalves.open(original)).model();
        this.lowered = Lowering.lower(repaired);
    }

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
        var search =
                new LibtorchSearch(reference, correction, lowered, settings, judgement, journal);
        LayerCosts costs = costs(floats, search, reference);
        Attempt best = search.best(() -> losses(reference, floats), () -> costs);
        Fit fit = search.fit(best.inFloat());
        begin(Work.MEASURING, "measuring");
        return result(fit, best.drop(), costs, reference);
    }

    private Map<String, Double> losses(GraphModule reference, GraphModule floats) {
        var signs = new Random(SEED);
        return journal.numbers(
                "losses of values",
                () ->
                        GraphLosses.of(
                                        lowered.with(floats),
                                        RoundedValue.of(reference),
                                        FewExamples.of(repaired, data.batches()),
                                        (inputs, results) ->
                                                ReferenceOutputs.projected(inputs, results, signs))
                                .orElse(Map.of()));
    }

    private LayerCosts costs(GraphModule floats, LibtorchSearch search, GraphModule reference) {
        List<Tensor> first = inOrder(data.first());
        LayerCosts costs =
                LayerCosts.ofTimes(
                        journal.numbers(
                                "milliseconds in floats", () -> LayerCosts.times(floats, first)),
                        journal.numbers(
                                "milliseconds in integers",
                                () -> LayerCosts.times(search.fit(Set.of()).graph(), first)));
        costs.measureErrors(reference, first);
        return costs;
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
