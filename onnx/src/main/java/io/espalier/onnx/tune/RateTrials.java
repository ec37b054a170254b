package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.tune.BestFile.Loss;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Leftovers;

import java.util.List;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * Short trainings at several rates, each a whole one, rising and falling, of which the best says
 * what rate the long one has: some networks learn nothing at a rate that others stand tenfold.
 *
 * @param rates from the least on
 * @param share of all minutes that each takes
 * @param shortest minutes that still tell rates apart
 */
record RateTrials(List<Double> rates, double share, double shortest) {
    /** Those from the usual rate on; it stays where there is little time. */
    static final RateTrials USUAL =
            new RateTrials(List.of(FineTuningSettings.RATE_OF_FLOATS, 6e-4, 2e-3), 0.04, 0.2);

    private static final String KEPT = "rate";

    RateTrials {
        rates = List.copyOf(rates);
    }

    /** What is trained, and how it is judged. */
    record Work(
            OnnxModel model,
            TrainableFile file,
            Function<OnnxModel, Loss> loss,
            CalibrationData data) {}

    /** The settings with the best rate and the minutes that are left; the same if one is set. */
    FineTuningSettings settled(FineTuningSettings settings, Work work, Checkpoint checkpoint) {
        double each = share * settings.minutes.orElse(0);
        if (!settings.isByTime() || settings.learningRate.isPresent() || each < shortest) {
            return settings;
        }
        OptionalDouble found = checkpoint.number(KEPT);
        if (found.isPresent() && !rates.contains(found.getAsDouble())) {
            throw checkpoint.damaged(KEPT, new EspalierException("It is none of " + rates + "."));
        }
        double rate = found.orElseGet(() -> best(settings, each, work));
        checkpoint.keep(KEPT, String.valueOf(rate));
        double left = settings.minutes.getAsDouble() - rates.size() * each;
        return settings.with(s -> {
            s.learningRate = OptionalDouble.of(rate);
            s.minutes = OptionalDouble.of(left);
        });
    }

    private double best(FineTuningSettings settings, double minutes, Work work) {
        double best = rates.getFirst();
        Loss least = new Loss(1, 1);
        for (double rate : rates) {
            FineTuningSettings trial =
                    settings.with(s -> {
                        s.learningRate = OptionalDouble.of(rate);
                        s.minutes = OptionalDouble.of(minutes);
                        s.listener =
                                (stage, done, total) ->
                                        settings.listener.at(
                                                "trying the rate " + rate, done, total);
                    });
            Loss reached = reached(trial, work);
            // Its weights and what Adam knew of them.
            Leftovers.collect();
            if (reached.compareTo(least) < 0) {
                least = reached;
                best = rate;
            }
        }
        return best;
    }

    /** What a training comes to; one that breaks comes to nothing. */
    private Loss reached(FineTuningSettings trial, Work work) {
        var best = new BestFile(work.model, work.loss, Checkpoint.none());
        try {
            new GradientTraining(work.file, trial, best, Checkpoint.none()).run(work.data);
        } catch (EspalierException e) {
            if (trial.learningRate() == rates.getFirst()) {
                throw e;
            }
        }
        return best.least();
    }
}
