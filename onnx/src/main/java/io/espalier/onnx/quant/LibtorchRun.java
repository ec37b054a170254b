package io.espalier.onnx.quant;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.onnx.lower.LibtorchSession;
import io.espalier.onnx.lower.LoweredFile;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.repair.Repair;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.accuracy.SequentialCorrection;
import io.espalier.quant.layer.FusedChain;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

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
    private final LoweredModel lowered;

    LibtorchRun(OnnxModel original, CalibrationData data, QuantizationSettings settings) {
        this.original = original;
        this.data = data;
        this.settings = settings;
        say("running the float model");
        this.judgement = new Judgement(original, data, settings);
        this.lowered = Lowering.lower(Repair.run(original).model());
    }

    /** A graph of integer kernels, and how far its results are from the float model's. */
    private record Fit(GraphModule graph, Set<String> inFloat, double drop) {}

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
        say("finding ranges");
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
        GraphModule prepared = GraphQuantization.prepare(module);
        for (Map<String, Tensor> batch : data.batches()) {
            try (var scope = new PointerScope()) {
                prepared.callAll(lowered.ordered(batch));
            }
        }
        return GraphQuantization.convertToReference(prepared);
    }

    private String backend() {
        if (!Engine.available().contains(Engine.ONEDNN)) {
            return "qnnpack";
        }
        return settings.reducedRange() ? "x86" : "onednn";
    }

    private LibtorchResult searched(
            GraphModule reference, GraphModule floats, SequentialCorrection correction) {
        say("fitting layers");
        Fit best = fit(reference, Set.of(), correction);
        LayerCosts costs = LayerCosts.ofTimes(floats, best.graph(), inOrder(data.first()));
        costs.measureErrors(reference, inOrder(data.first()));
        if (best.drop() > settings.maxDrop()) {
            best = givenBack(reference, correction, best, costs);
        }
        say("measuring");
        return result(best, costs, reference);
    }

    /**
     * With more and more layers in floats until the budget holds: the first ones, whose errors all
     * others pass on, or those whose integers are off most for the time that they save.
     */
    private Fit givenBack(
            GraphModule reference, SequentialCorrection correction, Fit all, LayerCosts costs) {
        Fit best = all;
        int layers = costs.inOrder().size();
        for (double part : PARTS) {
            int count = Math.clamp(Math.round(part * layers), 0, layers - 1);
            for (List<String> order : List.of(costs.inOrder(), costs.worstFirst())) {
                Set<String> inFloat = new LinkedHashSet<>(order.subList(0, count));
                Fit next = fit(reference, inFloat, correction);
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

    private Fit fit(GraphModule reference, Set<String> inFloat, SequentialCorrection correction) {
        GraphModule explicit = GraphQuantization.inFloat(reference, inFloat::contains);
        GraphModule graph = GraphQuantization.lower(correction.apply(explicit));
        double drop = judgement.drop(new LibtorchSession(lowered.with(graph)));
        say(String.format(Locale.ROOT, "%d layers in floats, %.4f lost", inFloat.size(), drop));
        return new Fit(graph, inFloat, drop);
    }

    private List<Tensor> inOrder(Map<String, Tensor> batch) {
        return lowered.ordered(batch);
    }

    private LibtorchResult result(Fit fit, LayerCosts costs, GraphModule reference) {
        LoweredModel small = lowered.with(fit.graph());
        return new LibtorchResult(
                LoweredFile.of(original, small),
                fit.drop(),
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

    private void say(String words) {
        settings.progress().accept(words);
    }
}
