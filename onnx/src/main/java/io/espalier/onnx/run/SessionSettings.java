package io.espalier.onnx.run;

import io.espalier.tensor.EspalierException;

import java.util.Collection;
import java.util.Set;

/** How ONNX Runtime runs a model; each setting gives a changed copy. */
public record SessionSettings(
        int threads, boolean optimized, boolean sharing, boolean profiling, Set<String> taps) {
    /** As many threads as there are cores, all of the runtime's own optimizations, no taps. */
    static final SessionSettings DEFAULT =
            new SessionSettings(
                    Runtime.getRuntime().availableProcessors(), true, false, false, Set.of());

    /**
     * How many threads compute one operator.
     *
     * @param threads from 1 to 1024
     */
    public SessionSettings threads(int threads) {
        if (threads < 1 || threads > 1024) {
            throw new EspalierException(
                    "A session has from 1 to 1024 threads, not " + threads + ".");
        }
        return new SessionSettings(threads, optimized, sharing, profiling, taps);
    }

    /** Whether the runtime rewrites the graph before it runs it; on unless it is set. */
    public SessionSettings optimized(boolean optimized) {
        return new SessionSettings(threads, optimized, sharing, profiling, taps);
    }

    /**
     * Uses threads that all such sessions share and that sleep while there is nothing to do: for
     * many small models, one after the other.
     */
    public SessionSettings sharingThreads() {
        return new SessionSettings(threads, optimized, true, profiling, taps);
    }

    /** Notes the time of each operator. */
    SessionSettings profiled() {
        return new SessionSettings(threads, optimized, sharing, true, taps);
    }

    /** Values inside the graph that a run gives besides its results. */
    public SessionSettings tapping(Collection<String> values) {
        return new SessionSettings(threads, optimized, sharing, profiling, Set.copyOf(values));
    }
}
