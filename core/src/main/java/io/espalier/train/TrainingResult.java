package io.espalier.train;

import java.util.List;
import java.util.Optional;

/**
 * How a training went.
 *
 * @param end why it ended
 * @param steps how many steps were made
 * @param epochs how many epochs were completed
 * @param loss the mean loss of the steps of the last epoch, complete or not; NaN without a step
 * @param evaluations all evaluations in order
 * @param best the evaluation with the best first metric among those that count (see {@link
 *     Trainer#keepBest}); empty where there was none
 * @param warnings what a user should know of the result, a sentence each
 */
public record TrainingResult(
        End end,
        long steps,
        int epochs,
        double loss,
        List<Scores> evaluations,
        Optional<Scores> best,
        List<String> warnings) {
    /** A result that doesn't change with the lists it was made from. */
    public TrainingResult {
        evaluations = List.copyOf(evaluations);
        warnings = List.copyOf(warnings);
    }

    /** Why a training ended. */
    public enum End {
        /** All epochs were completed. */
        COMPLETED,
        /** The first metric had not become better for as long as {@link Trainer#patience} says. */
        NO_PROGRESS,
        /** {@link Trainer#stop} was called, or the thread was interrupted. */
        STOPPED
    }
}
