package io.espalier.onnx.tune;

import io.espalier.onnx.slim.SlimResult;

import java.util.List;

/**
 * A model that was slimmed and trained.
 *
 * @param slim the model to save, and what became of each group of the model that came in
 * @param rounds how it went, one after the other
 */
public record TunedSlim(SlimResult slim, List<Round> rounds) {
    /** Copies the list. */
    public TunedSlim {
        rounds = List.copyOf(rounds);
    }

    /**
     * A round: channels taken, and what is left trained.
     *
     * @param parameters what is left of them
     * @param macs what is left of them, for one example of the extents that the data have
     * @param metric by what it was judged: "cosine" to the teacher's results, or what a task's
     *     labels say
     * @param slimmed how good the model was when channels had gone, on the data
     * @param tuned how good it was when it had been trained
     * @param steps how many steps by gradients were made
     */
    public record Round(
            long parameters, long macs, String metric, double slimmed, double tuned, long steps) {}
}
