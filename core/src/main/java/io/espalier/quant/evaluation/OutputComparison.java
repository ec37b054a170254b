package io.espalier.quant.evaluation;

import io.espalier.data.ModelInputs;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.train.EvalMode;
import io.espalier.train.Latency;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Locale;

/**
 * How far one model's outputs are from another's on the same inputs, where there are no answers to
 * go by; {@link #toString} says it in words.
 *
 * @param examples how many inputs both were given
 * @param maxError the largest difference of two outputs
 * @param meanError the mean of the absolute differences
 * @param cosine of the angle between all outputs of the one and all of the other; 1 is the same
 * @param sqnr the outputs' signal-to-noise ratio in decibel; infinite where they are equal
 * @param agreement the share of examples whose largest output is the same one, 0…1; NaN where the
 *     outputs are not [N, C] with C above 1
 * @param referenceMillis the median time of the first model's call on the first batch
 * @param candidateMillis that of the second model, in turns with the first
 */
public record OutputComparison(
        long examples,
        double maxError,
        double meanError,
        double cosine,
        double sqnr,
        double agreement,
        double referenceMillis,
        double candidateMillis) {
    /** How often each model is timed. */
    private static final int TIMINGS = 15;

    /**
     * Compares two models.
     *
     * @param afterBatch runs after each batch, to show progress
     * @throws EspalierException if a model can't take the inputs, or the outputs differ in number
     *     or shape
     */
    public static OutputComparison compare(
            Module reference, Module candidate, ModelInputs inputs, Runnable afterBatch) {
        Needed.of(reference, "the float model");
        Needed.of(candidate, "the other model");
        Needed.of(inputs, "the inputs");
        Needed.of(afterBatch, "what follows a batch");
        var errors = new OutputErrors();
        try (var one = new EvalMode(reference);
                var other = new EvalMode(candidate);
                var noGrad = new NoGradGuard()) {
            for (int i = 0; i < inputs.batches(); i++) {
                try (var scope = new PointerScope()) {
                    List<Tensor> batch = inputs.batch(i);
                    errors.add(reference.callAll(batch), candidate.callAll(batch));
                }
                afterBatch.run();
            }
            try (var scope = new PointerScope()) {
                double[] millis =
                        Latency.medians(
                                List.of(reference, candidate),
                                TIMINGS,
                                inputs.batch(0).toArray(Tensor[]::new));
                return errors.comparison(inputs.examples(), millis);
            }
        }
    }

    /** How many times faster the second model is; below 1 where it is slower. */
    public double speedup() {
        return referenceMillis / candidateMillis;
    }

    @Override
    public String toString() {
        String same =
                Double.isNaN(agreement)
                        ? ""
                        : String.format(
                                Locale.ROOT, ", the same answer in %.2f %%", 100 * agreement);
        if (maxError == 0) {
            return String.format(Locale.ROOT, "Outputs of %,d examples: equal", examples);
        }
        return String.format(
                Locale.ROOT,
                "Outputs of %,d examples: cosine %.6f, mean error %.3g, largest %.3g, %.1f dB%s",
                examples,
                cosine,
                meanError,
                maxError,
                sqnr,
                same);
    }
}
