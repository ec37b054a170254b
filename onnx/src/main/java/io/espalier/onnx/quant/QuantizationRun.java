package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.conv.ConvolutionQuantization;
import io.espalier.onnx.quant.half.HalfStorage;
import io.espalier.onnx.quant.matmul.BlockQuantization;
import io.espalier.onnx.quant.matmul.EmbeddingQuantization;
import io.espalier.onnx.quant.matmul.MatMulQuantization;
import io.espalier.onnx.repair.Repair;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** One model being quantized: repaired, fitted, judged, and where it lost too much, given back. */
final class QuantizationRun {
    private static final int MOST_FITS = 6;

    /** The version of the standard whose operators the passes write. */
    private static final long QUANTIZES_SINCE = 11;

    private final OnnxModel original;
    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final Judgement judgement;
    private final ProductSearch products;

    QuantizationRun(OnnxModel original, CalibrationData data, QuantizationSettings settings) {
        this.original = original;
        this.data = data;
        this.settings = settings;
        say("running the float model");
        this.judgement = new Judgement(original, data, settings);
        this.products = new ProductSearch(data, settings);
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
        var repaired = new Step(Repair.raised(repaired(), QUANTIZES_SINCE), List.of());
        Step step =
                switch (settings.mode()) {
                    case AUTO -> auto(repaired);
                    case STATIC -> allConvolutions(embeddings(products(repaired, true)));
                    case DYNAMIC -> stored(embeddings(products(repaired, false)));
                    case WEIGHT_ONLY -> stored(blocks(embeddings(repaired)));
                    case FLOAT16 -> halves(embeddings(repaired));
                };
        say("measuring");
        return result(step);
    }

    private QuantizationResult result(Step step) {
        OnnxModel model =
                Repair.run(step.model(), List.of(Repair.pass("shared-constants"))).model();
        return new QuantizationResult(
                model,
                judgement.drop(model),
                judgement.time(model),
                original.byteSize(),
                model.byteSize(),
                step.layers());
    }

    /** Functions come apart even if that takes room: what is in them can be smaller then. */
    private OnnxModel repaired() {
        return Repair.run(Repair.pass("functions").run(original)).model();
    }

    private void say(String words) {
        settings.progress().accept(words);
    }

    /** What pays and stays within the budget: products, tables, then convolutions. */
    private Step auto(Step repaired) {
        ProductSearch.Found found = products.best(repaired.model(), judgement);
        Step best = repaired.then(found.model(), found.layers());
        Step tables = embeddings(best);
        if (judgement.isWithinBudget(tables.model())) {
            best = tables;
        }
        return noWorse(bestConvolutions(best), repaired);
    }

    /** What was found, if nothing about it is worse than what came in. */
    private Step noWorse(Step found, Step repaired) {
        if (judgement.isNoWorse(found.model())) {
            return found;
        }
        OnnxModel model = judgement.isNoWorse(repaired.model()) ? repaired.model() : original;
        return new Step(model, inFloats(found.layers()));
    }

    private static List<Layer> inFloats(List<Layer> layers) {
        return layers.stream()
                .map(layer -> layer.precision().equals("float") ? layer : inFloats(layer))
                .toList();
    }

    private static Layer inFloats(Layer layer) {
        return new Layer(
                layer.name(), layer.operators(), "float", "int8 makes the model no better");
    }

    private Step products(Step step, boolean fixed) {
        ProductSearch.Found found = products.all(step.model(), fixed);
        return step.then(found.model(), found.layers());
    }

    private Step embeddings(Step step) {
        return switch (settings.format().embeddingsIn(settings.mode())) {
            case FLOAT -> step;
            case INT8 ->
                    tables(
                            step,
                            EmbeddingQuantization.eightBit(step.model(), settings.keptFloat()));
            case INT4 ->
                    tables(step, EmbeddingQuantization.fourBit(step.model(), settings.keptFloat()));
        };
    }

    private static Step tables(Step step, MatMulQuantization.Result result) {
        return step.then(result.model(), ProductSearch.layers(result.sites(), "Gather"));
    }

    /** Matrices in 4 bits, if that is asked for. */
    private Step blocks(Step step) {
        if (settings.format().bits() == 8) {
            return step;
        }
        say("fitting 4-bit weights");
        MatMulQuantization.Result result =
                BlockQuantization.of(
                        step.model(),
                        data.batches(),
                        settings.format().blocks(settings.keptFloat()));
        return step.then(result.model(), ProductSearch.layers(result.sites(), "MatMul"));
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
                    && judgement.isWithinBudget(fitted.model())
                    && judgement.isFaster(step.model(), fitted.model())) {
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
                judgement.isWithinBudget(fitted.model())
                        && !judgement.isSlower(step.model(), fitted.model());
        return holds
                ? step.then(fitted.model(), layers(fitted))
                : step.then(step.model(), inFloats(layers(fitted)));
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
        ConvolutionQuantization convolutions =
                ConvolutionQuantization.of(model, this::mayBeIntegers, settings.reducedRange());
        return settings.fitsWeights() ? convolutions.fittingWeights() : convolutions;
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
