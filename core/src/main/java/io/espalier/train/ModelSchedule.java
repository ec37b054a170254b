package io.espalier.train;

import java.util.Optional;
import java.util.function.Consumer;

/**
 * A listener that makes the model something else step by step, as a pruning along a schedule does.
 * Until it is done, no evaluation of a {@link Trainer} counts as the best, nor ends the training
 * for want of progress.
 */
public interface ModelSchedule extends Consumer<TrainingEvent> {
    /**
     * What is still to come after so many steps, a sentence for the result's {@link
     * TrainingResult#warnings}; empty when it is done.
     */
    Optional<String> unfinished(long step);
}
