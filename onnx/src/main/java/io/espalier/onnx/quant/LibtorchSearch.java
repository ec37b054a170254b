package io.espalier.onnx.quant;

import io.espalier.graph.GraphModule;
import io.espalier.onnx.lower.LibtorchSession;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.quant.Pace.Work;
import io.espalier.onnx.quant.graph.FloatChoice;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.accuracy.SequentialCorrection;
import io.espalier.quant.graph.RoundedValue;

import org.jspecify.annotations.Nullable;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * Finds which layers of a graph are in integers: all, and where that loses too much, all but those
 * whose values cost the results most for the time that they save, as gradients say. Where that is
 * not known, or is not enough, more and more go back to floats by two plain orders.
 */
final class LibtorchSearch {
    private static final int MOST_BY_LOSSES = 6;

    /** How many of the layers go back to floats, attempt after attempt; some layer stays. */
    private static final double[] PARTS = {1 / 16.0, 1 / 8.0, 1 / 4.0, 1 / 2.0, 15 / 16.0};

    /** The rest of the budget is for data that layers were not fitted to. */
    private static final double MARGIN = 0.9;

    /** How much of the budget is aimed at. */
    private static final double AIM = 0.85;

    /** The part of what is lost that may be lost in the next attempt at most. */
    private static final double STEP = 0.6;

    private final GraphModule reference;
    private final SequentialCorrection correction;
    private final LoweredModel names;
    private final QuantizationSettings settings;
    private final Judgement judgement;
    private final Journal journal;
    private final double limit;
    private @Nullable Fit last;

    /**
     * @param reference the graph with explicit ranges
     * @param correction knows what its layers give in floats
     * @param names what the graph takes and gives
     */
    LibtorchSearch(
            GraphModule reference,
            SequentialCorrection correction,
            LoweredModel names,
            QuantizationSettings settings,
            Judgement judgement,
            Journal journal) {
        this.reference = reference;
        this.correction = correction;
        this.names = names;
        this.settings = settings;
        this.judgement = judgement;
        this.journal = journal;
        this.limit = MARGIN * settings.maxDrop();
    }

    /** A graph of integer kernels with some layers in floats. */
    record Fit(GraphModule graph, Set<String> inFloat) {}

    /** Some layers in floats, and how far the results are from the float model's then. */
    record Attempt(Set<String> inFloat, double drop) {}

    /**
     * The first attempt that is within the budget, or the best of all.
     *
     * @param losses what the results lose by each value that is rounded, by its name; empty where
     *     nobody knows
     * @param costs of the layers; asked only where not all can be in integers
     */
    Attempt best(Supplier<Map<String, Double>> losses, Supplier<LayerCosts> costs) {
        settings.progress().expect(Work.CONVOLUTIONS, 2);
        Attempt best = attempt(Set.of());
        if (best.drop() > limit) {
            best = byLosses(best, losses.get(), costs.get());
        }
        if (best.drop() > settings.maxDrop()) {
            best = byOrder(best, costs.get());
        }
        settings.progress().expect(Work.CONVOLUTIONS, 0);
        return best;
    }

    private Attempt byLosses(Attempt all, Map<String, Double> losses, LayerCosts costs) {
        var choice = new FloatChoice(RoundedValue.of(reference), losses, costs::saved);
        Attempt best = all;
        Attempt last = all;
        for (int fit = 1; fit <= MOST_BY_LOSSES && last.drop() > limit; fit++) {
            double estimate = choice.lost(last.inFloat());
            double aim = AIM * limit / last.drop() * estimate;
            Set<String> inFloat = choice.inFloat(Math.min(aim, STEP * estimate));
            if (inFloat.equals(last.inFloat())) {
                break;
            }
            last = attempt(inFloat);
            best = last.drop() < best.drop() ? last : best;
        }
        return best;
    }

    /**
     * With more and more layers in floats: the first ones, whose errors all others pass on, or
     * those whose integers are off most for the time that they save.
     */
    private Attempt byOrder(Attempt known, LayerCosts costs) {
        settings.progress().expect(Work.CONVOLUTIONS, 2 * PARTS.length);
        Attempt best = known;
        int layers = costs.inOrder().size();
        for (double part : PARTS) {
            int count = Math.clamp(Math.round(part * layers), 0, layers - 1);
            for (List<String> order : List.of(costs.inOrder(), costs.worstFirst())) {
                Attempt next = attempt(new LinkedHashSet<>(order.subList(0, count)));
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

    private Attempt attempt(Set<String> inFloat) {
        double drop =
                journal.number(
                        "lost without %d: %s"
                                .formatted(inFloat.size(), Digest.of(new TreeSet<>(inFloat))),
                        () ->
                                judgement.drop(
                                        new LibtorchSession(names.with(fit(inFloat).graph()))));
        settings.progress()
                .say(
                        String.format(
                                Locale.ROOT,
                                "%d layers in floats, %.4f lost",
                                inFloat.size(),
                                drop));
        return new Attempt(inFloat, drop);
    }

    /** The graph with these layers in floats, biases corrected; the last one is kept. */
    Fit fit(Set<String> inFloat) {
        return Optional.ofNullable(last)
                .filter(fit -> fit.inFloat().equals(inFloat))
                .orElseGet(() -> fitted(inFloat));
    }

    private Fit fitted(Set<String> inFloat) {
        settings.progress()
                .begin(Work.CONVOLUTIONS, "fitting layers, %d in floats".formatted(inFloat.size()));
        GraphModule explicit = GraphQuantization.inFloat(reference, inFloat::contains);
        var fit = new Fit(GraphQuantization.lower(correction.apply(explicit)), inFloat);
        last = fit;
        return fit;
    }
}
