package io.espalier.onnx.compare;

import io.espalier.onnx.inputs.Task;
import io.espalier.tensor.EspalierException;

import java.util.Optional;

/**
 * How models are compared; each setting gives a changed copy.
 *
 * @param threads how many compute one operator
 * @param turns how often each model is timed
 * @param layers whether values inside the models are compared
 * @param afterBatch runs when both models have run a batch, to show progress; where layers are
 *     compared, twice for each batch
 * @param task what the labels of the inputs mean, where results are held against them too
 */
public record ComparisonSettings(
        int threads, int turns, boolean layers, Runnable afterBatch, Optional<Task> task) {
    static final ComparisonSettings DEFAULT =
            new ComparisonSettings(
                    Runtime.getRuntime().availableProcessors(),
                    10,
                    true,
                    () -> {},
                    Optional.empty());

    /**
     * With so many threads; one for each core if it is not set.
     *
     * @param newThreads from 1 to 1024
     */
    public ComparisonSettings threads(int newThreads) {
        return new ComparisonSettings(newThreads, turns, layers, afterBatch, task);
    }

    /**
     * Timed so often; the least time counts.
     *
     * @param newTurns 1 or more; 10 if it is not set
     * @throws EspalierException if it is below 1
     */
    public ComparisonSettings turns(int newTurns) {
        if (newTurns < 1) {
            throw new EspalierException("Models are timed 1 or more times, not " + newTurns + ".");
        }
        return new ComparisonSettings(threads, newTurns, layers, afterBatch, task);
    }

    /** Without the values inside the models. */
    public ComparisonSettings withoutLayers() {
        return new ComparisonSettings(threads, turns, false, afterBatch, task);
    }

    /** Telling of each batch. */
    public ComparisonSettings afterBatch(Runnable run) {
        return new ComparisonSettings(threads, turns, layers, run, task);
    }

    /** Counting what both get right by the labels of the inputs. */
    public ComparisonSettings judgedBy(Task what) {
        return new ComparisonSettings(threads, turns, layers, afterBatch, Optional.of(what));
    }
}
