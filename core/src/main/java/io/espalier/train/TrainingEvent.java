package io.espalier.train;

import java.nio.file.Path;

/** What a {@link Trainer} tells its listeners. */
public sealed interface TrainingEvent {
    /**
     * A step was made.
     *
     * @param step how many steps have been made
     * @param steps how many there will be in all
     * @param epoch the epoch, counted from 0
     * @param loss the batch's loss before the step
     * @param learningRate the rate of the optimizer's first parameter group
     */
    record Step(long step, long steps, int epoch, double loss, double learningRate)
            implements TrainingEvent {}

    /**
     * An epoch ended.
     *
     * @param epoch the epoch, counted from 0
     * @param step how many steps have been made
     * @param loss the mean of the steps' losses
     */
    record EpochEnd(int epoch, long step, double loss) implements TrainingEvent {}

    /**
     * The model was evaluated.
     *
     * @param epoch the epoch, counted from 0
     * @param scores what the metrics said
     * @param best whether the first metric is the best so far of all that count (see {@link
     *     Trainer#keepBest})
     */
    record Evaluated(int epoch, Scores scores, boolean best) implements TrainingEvent {}

    /**
     * A checkpoint was written.
     *
     * @param step how many steps have been made
     * @param file where it lies
     */
    record Checkpointed(long step, Path file) implements TrainingEvent {}
}
