package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.conv.ConvolutionQuantization;

import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;

/**
 * Finds which convolutions are computed in integers: those that save time; where too much is lost,
 * the first ones go back to floats, whose errors all others amplify and which save least, and then
 * those that lose most for the time they save.
 */
final class ConvolutionSearch {
    private static final int MOST_FITS = 6;

    /** The part of the layers, the first ones, that is given back at once, and how often. */
    private static final double SPARED = 1.0 / 6;

    private static final int SPARING_FITS = 2;

    /** The rest of the budget is for data that layers were not fitted to. */
    private static final double MARGIN = 0.9;

    /** How much of what the budget leaves is aimed at. */
    private static final double AIM = 0.8;

    /** The part of the error that is given back at least. */
    private static final double STEP = 0.8;

    private final ConvolutionQuantization convolutions;
    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final Judgement judgement;

    ConvolutionSearch(
            ConvolutionQuantization convolutions,
            CalibrationData data,
            QuantizationSettings settings,
            Judgement judgement) {
        this.convolutions = convolutions;
        this.data = data;
        this.settings = settings;
        this.judgement = judgement;
    }

    /** A model, and what became of its convolutions. */
    record Found(OnnxModel model, List<Layer> layers) {}

    /**
     * The best way for a model.
     *
     * @param floats the model with its convolutions in floats
     * @param finish what is still to be done to a fitted model before it is judged
     */
    Found best(OnnxModel floats, UnaryOperator<OnnxModel> finish) {
        if (convolutions.isEmpty()) {
            return keptSmall(floats, finish);
        }
        say("measuring operators");
        convolutions.measure(data.first(), settings.threads());
        double lostWithout = judgement.drop(floats);
        double allowed = Double.POSITIVE_INFINITY;
        for (int fit = 1; fit <= MOST_FITS; fit++) {
            var placed = convolutions.fastest(allowed, SPARED * Math.min(fit - 1, SPARING_FITS));
            if (placed.isEmpty()) {
                break;
            }
            say("fitting layers, attempt " + fit);
            ConvolutionQuantization.Fitted fitted = convolutions.fit(data.batches(), placed);
            OnnxModel candidate = finish.apply(fitted.model());
            double lost = judgement.drop(candidate);
            say(
                    String.format(
                            Locale.ROOT,
                            "%d layers in integers lose %.4f of the %.4f allowed",
                            fitted.inIntegers(),
                            lost,
                            MARGIN * settings.maxDrop()));
            if (lost <= MARGIN * settings.maxDrop()) {
                if (judgement.isFaster(floats, candidate)) {
                    return new Found(candidate, layers(fitted));
                }
                break;
            }
            if (fit <= SPARING_FITS) {
                continue;
            }
            double errors = convolutions.errorsOf(placed);
            double byError = Math.max(lost - lostWithout, Double.MIN_NORMAL) / errors;
            allowed = Math.min(STEP * errors, AIM * (settings.maxDrop() - lostWithout) / byError);
        }
        return keptSmall(floats, finish);
    }

    /** The way that a recipe names. */
    Found of(OnnxModel floats, UnaryOperator<OnnxModel> finish, Recipe recipe) {
        var placed = convolutions.choice(recipe.in(Recipe.INTEGERS));
        if (placed.isEmpty() && recipe.in(Recipe.STORED).isEmpty()) {
            return new Found(finish.apply(floats), QuantizationRun.inFloats(all()));
        }
        say("fitting layers");
        ConvolutionQuantization.Fitted fitted = convolutions.fit(data.batches(), placed);
        return new Found(finish.apply(fitted.model()), layers(fitted));
    }

    private List<Layer> all() {
        return convolutions.layers().stream()
                .map(layer -> new Layer(layer.name(), layer.operators(), Recipe.FLOAT, "as asked"))
                .toList();
    }

    /**
     * Weights kept in 8 bits if that stays within the budget; the runtime makes floats of them when
     * it loads the model, so they cost no time.
     */
    private Found keptSmall(OnnxModel floats, UnaryOperator<OnnxModel> finish) {
        say("rounding weights");
        ConvolutionQuantization.Fitted fitted = convolutions.store(data.batches());
        OnnxModel candidate = finish.apply(fitted.model());
        return judgement.isWithinBudget(candidate)
                ? new Found(candidate, layers(fitted))
                : new Found(floats, QuantizationRun.inFloats(layers(fitted)));
    }

    private void say(String words) {
        settings.progress().accept(words);
    }

    static List<Layer> layers(ConvolutionQuantization.Fitted fitted) {
        return fitted.layers().stream()
                .map(layer ->
                        new Layer(layer.name(), layer.operators(), precision(layer), layer.why()))
                .toList();
    }

    private static String precision(ConvolutionQuantization.LayerReport layer) {
        return layer.inIntegers() ? "int8" : layer.hasWeight() ? "int8 stored" : "float";
    }
}
