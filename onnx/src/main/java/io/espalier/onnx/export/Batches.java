package io.espalier.onnx.export;

import java.util.function.UnaryOperator;

/** What libtorch computes of one example without a batch, as a batch of one. */
final class Batches {
    private Batches() {}

    /**
     * Writes a computation.
     *
     * @param rank the number of x's dimensions
     * @param wanted how many it has with a batch
     * @param computation takes and gives a batch
     */
    static String around(
            Draft draft, String x, int rank, int wanted, UnaryOperator<String> computation) {
        if (rank == wanted) {
            return computation.apply(x);
        }
        String first = draft.longs(0);
        String batch = draft.node("Unsqueeze", x, first);
        return draft.node("Squeeze", computation.apply(batch), first);
    }
}
