package io.espalier.onnx.compare;

import io.espalier.tensor.EspalierException;

/**
 * How models are compared; each setting gives a changed copy.
 *
 * @param threads how many compute one operator
 * @param turns how often each model is timed
 * @param layers whether values inside the models are compared
 * @param afterBatch runs when both models have run a batch, to show progress; where layers are
 *     compared, twice for each batch
 */
public record ComparisonSettings(int threads, int turns, boolean layers, Runnable afterBatch) {
    static final ComparisonSettings DEFAULT =
            new ComparisonSettings(Runtime.getRuntime().availableProcessors(), 10, true, () -> {});

    /**
     * With so many threads; one for each core if it is not set.
     *
     * @param newThreads from 1 to 1024
     */
    public ComparisonSettings threads(int newThreads) {
        return new ComparisonSettings(newThreads, turns, layers, afterBatch);
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
        return new ComparisonSettings(threads, newTurns, layers, afterBatch);
    }

    /** Without the values inside the models. */
    public ComparisonSettings withoutLayers() {
        return new ComparisonSettings(threads, turns, false, afterBatch);
    }

    /** Telling of each batch. */
    public ComparisonSettings afterBatch(Runnable run) {
        return new ComparisonSettings(threads, turns, layers, run);
    }
}
