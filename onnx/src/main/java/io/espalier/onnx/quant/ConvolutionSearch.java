package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.Pace.Work;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.conv.ConvolutionQuantization;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;

/**
 * Finds which convolutions are computed in integers: those that save time; where too much is lost,
 * or will be since many are depthwise, weights are fitted to what integers give, too, and where
 * that is not enough, those go back to floats whose codes cost the results most for the time they
 * save. Where libtorch can't say what they cost, the first ones do, whose errors all others amplify
 * and which save least.
 */
final class ConvolutionSearch {
    static final int MOST_FITS = 7;

    /** The part of the layers, the first ones, that is given back at once, and how often. */
    private static final double SPARED = 1.0 / 6;

    private static final int SPARING_FITS = 2;

    /** The rest of the budget is for data that layers were not fitted to. */
    private static final double MARGIN = 0.9;

    /** How much of what the budget leaves is aimed at. */
    private static final double AIM = 0.85;

    /** With more depthwise convolutions than this, codes alone have always lost too much. */
    private static final double MANY_DEPTHWISE = 0.25;

    /** A result that loses less than this part of the budget leaves room for more layers. */
    private static final double ROOM = 0.75;

    /** What operators' times promise as much of needs no look at the whole. */
    private static final double CLEARLY_FASTER = 1.5;

    /** The part of the error that is given back at least. */
    private static final double STEP = 0.8;

    private final ConvolutionQuantization convolutions;
    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final Judgement judgement;
    private final Journal journal;

    ConvolutionSearch(
            ConvolutionQuantization convolutions,
            CalibrationData data,
            QuantizationSettings settings,
            Judgement judgement,
            Journal journal) {
        this.journal = journal;
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
     * @param original the same with all else in floats too
     * @param finish what is still to be done to a fitted model before it is judged
     */
    Found best(OnnxModel floats, OnnxModel original, UnaryOperator<OnnxModel> finish) {
        if (convolutions.isEmpty()) {
            return keptSmall(floats, finish);
        }
        Map<String, Double> times = journal.numbers("milliseconds of operators", this::times);
        if (times.isEmpty()) {
            return keptSmall(floats, finish);
        }
        convolutions.recallTimes(times);
        if (convolutions.shareOfDepthwise() > MANY_DEPTHWISE) {
            convolutions.fittingWeights();
        }
        double limit = MARGIN * settings.maxDrop();
        double allowed = Double.POSITIVE_INFINITY;
        boolean knowsLosses = false;
        int failed = 0;
        Attempt held = null;
        for (int fit = 1; fit <= MOST_FITS; fit++) {
            double spared = knowsLosses ? 0 : SPARED * Math.min(failed, SPARING_FITS);
            var placed = convolutions.fastest(allowed, spared);
            if (placed.isEmpty() || (held != null && held.placed.equals(placed))) {
                break;
            }
            settings.progress().expect(Work.CONVOLUTIONS, MOST_FITS - fit + 1);
            Attempt attempt = attempt(fit, placed, finish);
            boolean holds = attempt.lost <= limit;
            if (held != null) {
                held = holds ? attempt : held;
                break;
            }
            if (holds) {
                held = attempt;
                if (!knowsLosses || attempt.lost > ROOM * limit) {
                    break;
                }
            } else if (!convolutions.fitsWeights()) {
                convolutions.fittingWeights();
                continue;
            } else if (++failed == 1) {
                knowsLosses = findLosses(original);
            }
            if (knowsLosses || failed > SPARING_FITS) {
                double errors = convolutions.errorsOf(placed);
                double lostWithout = journal.number("lost without", () -> judgement.drop(floats));
                double byError = Math.max(attempt.lost - lostWithout, Double.MIN_NORMAL) / errors;
                allowed = AIM * (limit - lostWithout) / byError;
                allowed = holds ? allowed : Math.min(STEP * errors, allowed);
            }
        }
        settings.progress().expect(Work.CONVOLUTIONS, 0);
        return held != null && isFaster(held, floats)
                ? new Found(held.model(), layers(held.fitted()))
                : keptSmall(floats, finish);
    }

    /** None if the runtime does not take the model in integers. */
    private Map<String, Double> times() {
        begin(Work.OPERATORS, "measuring operators");
        try {
            return convolutions.measured(data.first(), settings.threads());
        } catch (EspalierException e) {
            settings.progress()
                    .say(
                            "convolutions stay in floats, since with them in integers: "
                                    + e.getMessage());
            return Map.of();
        }
    }

    private boolean isFaster(Attempt attempt, OnnxModel floats) {
        if (convolutions.speedup(attempt.placed) > CLEARLY_FASTER) {
            return true;
        }
        Map<String, Double> learned = convolutions.learned();
        double speedup =
                journal.number(
                        "times as fast " + attempt.name(), () -> speedup(attempt.model(), floats));
        convolutions.recallFits(learned);
        return Judgement.isFaster(speedup);
    }

    private double speedup(OnnxModel candidate, OnnxModel floats) {
        begin(Work.MEASURING, "measuring speed");
        return judgement.speedup(floats, candidate);
    }

    /** Layers put into integers, fitted when that is needed, and what the finished model loses. */
    private final class Attempt {
        private final int number;
        private final ConvolutionQuantization.Choice placed;
        private final UnaryOperator<OnnxModel> finish;
        private final boolean moved = convolutions.fitsWeights();
        private final Map<String, Double> learnedBefore = convolutions.learned();
        private final double lost;
        private ConvolutionQuantization.@Nullable Fitted fitted;
        private @Nullable OnnxModel model;

        Attempt(
                int number,
                ConvolutionQuantization.Choice placed,
                UnaryOperator<OnnxModel> finish) {
            this.number = number;
            this.placed = placed;
            this.finish = finish;
            Map<String, Double> learned = journal.numbers("learned " + name(), this::learned);
            this.lost = journal.number("lost " + name(), () -> judgement.drop(model()));
            convolutions.recallFits(learned);
        }

        String name() {
            return "with %d layers%s: %s"
                    .formatted(
                            placed.names().size(),
                            moved ? ", weights fitted" : "",
                            Digest.of(placed.names()));
        }

        private Map<String, Double> learned() {
            fitted();
            return convolutions.learned();
        }

        ConvolutionQuantization.Fitted fitted() {
            ConvolutionQuantization.Fitted known = fitted;
            if (known == null) {
                begin(Work.CONVOLUTIONS, "fitting layers, attempt " + number);
                convolutions.recallFits(learnedBefore);
                known = convolutions.fit(data.batches(), placed);
                fitted = known;
            }
            return known;
        }

        OnnxModel model() {
            OnnxModel known = model;
            if (known == null) {
                known = finish.apply(fitted().model());
                model = known;
            }
            return known;
        }
    }

    private Attempt attempt(
            int fit, ConvolutionQuantization.Choice placed, UnaryOperator<OnnxModel> finish) {
        var attempt = new Attempt(fit, placed, finish);
        settings.progress()
                .say(
                        String.format(
                                Locale.ROOT,
                                "%d layers in integers lose %.4f of the %.4f allowed",
                                placed.names().size(),
                                attempt.lost,
                                MARGIN * settings.maxDrop()));
        return attempt;
    }

    private boolean findLosses(OnnxModel original) {
        Map<String, Double> losses = journal.numbers("losses of values", () -> losses(original));
        convolutions.recallLosses(losses);
        return !losses.isEmpty();
    }

    private Map<String, Double> losses(OnnxModel original) {
        begin(Work.LOSSES, "finding what each value loses");
        var signs = new SplittableRandom(0);
        return convolutions.losses(
                original,
                data.batches(),
                (inputs, results) -> ReferenceOutputs.projected(inputs, results, signs));
    }

    /** The way that a recipe names. */
    Found of(OnnxModel floats, UnaryOperator<OnnxModel> finish, Recipe recipe) {
        var placed = convolutions.choice(recipe.in(Recipe.INTEGERS));
        if (placed.isEmpty() && recipe.in(Recipe.STORED).isEmpty()) {
            return new Found(finish.apply(floats), Step.inFloats(all()));
        }
        begin(Work.CONVOLUTIONS, "fitting layers");
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
        settings.progress().expect(Work.CONVOLUTIONS, 0);
        begin(Work.ROUNDING, "rounding weights");
        ConvolutionQuantization.Fitted fitted = convolutions.store(data.batches());
        OnnxModel candidate = finish.apply(fitted.model());
        return judgement.isWithinBudget(candidate)
                ? new Found(candidate, layers(fitted))
                : new Found(floats, Step.inFloats(layers(fitted)));
    }

    private void begin(Work work, String words) {
        settings.progress().begin(work, words);
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
