package io.espalier.train;

import io.espalier.data.DataLoader;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.List;

/**
 * Where a training stands, in plain values: together with the model's, the optimizer's and the
 * generator's state it decides all that follows.
 *
 * @param step how many steps have been made
 * @param epoch the epoch of the next step, counted from 0
 * @param batch the next batch in that epoch
 * @param epochLoss the sum of the losses of the steps made in the last step's epoch
 * @param epochSteps how many steps those are
 * @param evaluations all evaluations so far
 * @param best which of them was the best; −1 where there is none
 * @param lastGain which of them was last better by enough to go on for; −1 where there is none
 * @param form what the model was at the last evaluation; null where there was none
 */
record Progress(
        long step,
        int epoch,
        int batch,
        double epochLoss,
        int epochSteps,
        List<Scores> evaluations,
        int best,
        int lastGain,
        @Nullable Form form) {
    static final Progress START = new Progress(0, 0, 0, 0, 0, List.of(), -1, -1, null);

    Progress {
        evaluations = List.copyOf(evaluations);
        if (Math.min(Math.min(step, epoch), Math.min(batch, epochSteps)) < 0
                || best >= evaluations.size()
                || lastGain >= evaluations.size()) {
            throw new EspalierException("No training can stand at " + step + ", " + epoch + ".");
        }
    }

    /** What a loader must be for the batches to go on as they began. */
    record Order(int examples, int batchSize, boolean shuffled, long seed, boolean dropLast) {
        static Order of(DataLoader loader) {
            return new Order(
                    loader.dataset().size(),
                    loader.batchSize(),
                    loader.isShuffled(),
                    loader.seed(),
                    loader.dropsLast());
        }

        @Override
        public String toString() {
            return examples
                    + " examples in batches of "
                    + batchSize
                    + (shuffled ? " shuffled with seed " + seed : " in order")
                    + (dropLast ? ", the last dropped" : "");
        }
    }
}
