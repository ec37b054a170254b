package io.espalier.onnx.serve;

import io.espalier.onnx.run.ModelRuntime;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.util.Optional;
import java.util.OptionalInt;

/**
 * How a model is run; each setting gives a changed copy.
 *
 * @param runtime what runs it; if empty, ONNX Runtime runs ONNX files and libtorch saved graphs
 * @param threads how many compute one operator; if empty, one for each core
 */
public record ServingSettings(Optional<ModelRuntime> runtime, OptionalInt threads) {
    private static final int MOST_THREADS = 1024;

    static final ServingSettings DEFAULT =
            new ServingSettings(Optional.empty(), OptionalInt.empty());

    /** Run by this runtime. */
    public ServingSettings runtime(ModelRuntime newRuntime) {
        return new ServingSettings(Optional.of(Needed.of(newRuntime, "the runtime")), threads);
    }

    /**
     * With so many threads for one operator. Of a service that runs a model from many threads at
     * once, 1 gives the most. libtorch has one number for the whole process, which this sets.
     *
     * @param newThreads from 1 to 1024
     */
    public ServingSettings threads(int newThreads) {
        if (newThreads < 1 || newThreads > MOST_THREADS) {
            throw new EspalierException(
                    "A model runs with 1 to " + MOST_THREADS + " threads, not " + newThreads + ".");
        }
        return new ServingSettings(runtime, OptionalInt.of(newThreads));
    }
}
