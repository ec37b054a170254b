package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.conv.ConvolutionQuantization;
import io.espalier.onnx.quant.half.HalfStorage;
import io.espalier.onnx.quant.matmul.EmbeddingQuantization;
import io.espalier.onnx.quant.matmul.MatMulQuantization;
import io.espalier.onnx.quant.matmul.MatMulSettings;
import io.espalier.onnx.quant.matmul.SiteReport;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.PairedTime;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** One model being quantized: repaired, fitted, judged, and where it lost too much, given back. */
final class QuantizationRun {
    private static final int TURNS = 4;
    private static final int MOST_FITS = 6;

    /** Two timings of one model differ by as much. */
    private static final double NOISE = 1.02;

    private final OnnxModel original;
    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final ReferenceOutputs reference;

    QuantizationRun(OnnxModel original, CalibrationData data, QuantizationSettings settings) {
        this.original = original;
        this.data = data;
        this.settings = settings;
        say("running the float model");
        this.reference = ReferenceOutputs.of(original, data.batches(), settings.threads());
    }

    /** A model on its way, and what became of its layers. */
    private record Step(OnnxModel model, List<Layer> layers) {
        Step then(OnnxModel next, List<Layer> more) {
            var all = new ArrayList<>(layers);
            all.addAll(more);
            return new Step(next, all);
        }
    }

    QuantizationResult run() {
        say("repairing the graph");
        var repaired = new Step(Repair.run(original).model(), List.of());
        Step step =
                switch (settings.mode()) {
                    case AUTO -> auto(repaired);
                    case STATIC -> allConvolutions(embeddings(products(repaired, true)));
                    case DYNAMIC -> stored(embeddings(products(repaired, false)));
                    case WEIGHT_ONLY -> stored(embeddings(repaired));
                    case FLOAT16 -> halves(repaired);
                };
        say("measuring");
        return result(step);
    }

    private QuantizationResult result(Step step) {
        OnnxModel model =
                Repair.run(step.model(), List.of(Repair.pass("shared-constants"))).model();
        return new QuantizationResult(
                model,
                reference.drop(model),
                time(original, model),
                original.byteSize(),
                model.byteSize(),
                step.layers());
    }

    private PairedTime time(OnnxModel before, OnnxModel after) {
        try (var first = OnnxSession.open(before, s -> s.threads(settings.threads()));
                var second = OnnxSession.open(after, s -> s.threads(settings.threads()))) {
            return PairedTime.of(first, second, data.first(), TURNS);
        }
    }

    private void say(String words) {
        settings.progress().accept(words);
    }

    /** What pays and stays within the budget: products, tables, then convolutions. */
    private Step auto(Step repaired) {
        Step best = bestProducts(repaired);
        Step tables = embeddings(best);
        if (reference.drop(tables.model()) <= settings.maxDrop()) {
            best = tables;
        }
        return bestConvolutions(best);
    }

    /**
     * Products with ranges found beforehand or at each call, or in floats: the fastest that holds.
     */
    private Step bestProducts(Step step) {
        for (boolean fixed : new boolean[] {true, false}) {
            say(fixed ? "fitting matrix products" : "trying ranges found at each call");
            Step candidate = products(step, fixed);
            if (candidate.layers().stream().noneMatch(layer -> layer.precision().equals("int8"))) {
                return step;
            }
            boolean holds = reference.drop(candidate.model()) <= settings.maxDrop();
            if (holds && time(step.model(), candidate.model()).speedup() > NOISE) {
                return candidate;
            }
        }
        return step;
    }

    private Step products(Step step, boolean fixed) {
        MatMulQuantization.Result result =
                fixed
                        ? MatMulQuantization.fixed(step.model(), data.batches(), this::how)
                        : MatMulQuantization.dynamic(step.model(), data.batches(), this::how);
        return step.then(result.model(), layers(result.sites(), "MatMul"));
    }

    private MatMulSettings how(MatMulSettings start) {
        return start.reduceRange(settings.reducedRange())
                .keepingFloat(settings.keptFloat().toArray(String[]::new));
    }

    private Step embeddings(Step step) {
        MatMulQuantization.Result result =
                EmbeddingQuantization.eightBit(step.model(), settings.keptFloat());
        return step.then(result.model(), layers(result.sites(), "Gather"));
    }

    private static List<Layer> layers(List<SiteReport> sites, String operator) {
        return sites.stream()
                .map(site ->
                        new Layer(
                                site.name(),
                                operator,
                                site.isQuantized() ? "int" + site.bits() : "float",
                                site.why()
                                        + (site.error().isPresent()
                                                ? String.format(
                                                        Locale.ROOT,
                                                        ", error %.1f dB",
                                                        10 * Math.log10(site.error().getAsDouble()))
                                                : "")))
                .toList();
    }

    /** Convolutions in integers where they save time; those that lose most are given back. */
    private Step bestConvolutions(Step step) {
        ConvolutionQuantization convolutions = convolutions(step.model());
        if (!convolutions.isEmpty()) {
            say("measuring operators");
            convolutions.measure(data.first(), settings.threads());
        }
        double price = 0;
        Set<Integer> tried = new HashSet<>();
        for (int fit = 0; fit < MOST_FITS && !convolutions.isEmpty(); fit++) {
            say("fitting layers, attempt " + (fit + 1));
            ConvolutionQuantization.Fitted fitted = convolutions.fit(data.batches(), price);
            if (fitted.inIntegers() == 0) {
                break;
            }
            if (tried.add(fitted.inIntegers())
                    && reference.drop(fitted.model()) <= settings.maxDrop()
                    && time(step.model(), fitted.model()).speedup() > NOISE) {
                return step.then(fitted.model(), layers(fitted));
            }
            price = price == 0 ? convolutions.mostGain() / 8 : price * 2;
        }
        return keptSmall(step, convolutions);
    }

    /** Weights kept in 8 bits if that stays within the budget. */
    private Step keptSmall(Step step, ConvolutionQuantization convolutions) {
        ConvolutionQuantization.Fitted fitted = convolutions.store(data.batches());
        boolean holds =
                reference.drop(fitted.model()) <= settings.maxDrop()
                        && time(step.model(), fitted.model()).speedup() > 1 / NOISE;
        return holds ? step.then(fitted.model(), layers(fitted)) : step;
    }

    private Step allConvolutions(Step step) {
        say("fitting layers");
        ConvolutionQuantization.Fitted fitted = convolutions(step.model()).fitAll(data.batches());
        return step.then(fitted.model(), layers(fitted));
    }

    private Step stored(Step step) {
        say("rounding weights");
        ConvolutionQuantization.Fitted fitted = convolutions(step.model()).store(data.batches());
        return step.then(fitted.model(), layers(fitted));
    }

    private Step halves(Step step) {
        say("rounding weights");
        HalfStorage.Result halved = HalfStorage.of(step.model(), this::mayBeIntegers);
        return step.then(
                halved.model(),
                halved.weights().stream()
                        .map(weight ->
                                new Layer(
                                        weight.name(),
                                        weight.operators(),
                                        weight.halved() ? "float16 stored" : "float",
                                        weight.why()))
                        .toList());
    }

    private ConvolutionQuantization convolutions(OnnxModel model) {
        return ConvolutionQuantization.of(model, this::mayBeIntegers, settings.reducedRange());
    }

    private boolean mayBeIntegers(OnnxNode node) {
        return !settings.keepsFloat(node);
    }

    private static String precision(ConvolutionQuantization.LayerReport layer) {
        return layer.inIntegers() ? "int8" : layer.hasWeight() ? "int8 stored" : "float";
    }

    private static List<Layer> layers(ConvolutionQuantization.Fitted fitted) {
        return fitted.layers().stream()
                .map(layer ->
                        new Layer(layer.name(), layer.operators(), precision(layer), layer.why()))
                .toList();
    }
}
