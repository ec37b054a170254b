package io.espalier.onnx.run;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The time of two models on the same inputs, in turns: the least of each, in milliseconds.
 *
 * <p>Threads of the model that ran before spin for a while and take a core; so each turn waits,
 * runs once untimed, and only then is timed.
 */
public record PairedTime(double reference, double candidate) {
    private static final long PAUSE_MS = 30;
    private static final int RUNS_A_TURN = 3;

    /** How many times faster the candidate is. */
    public double speedup() {
        return reference / candidate;
    }

    /** The lesser times of two measurements. */
    public PairedTime least(PairedTime other) {
        return new PairedTime(
                Math.min(reference, other.reference), Math.min(candidate, other.candidate));
    }

    /**
     * Measures.
     *
     * @param turns how often each is timed, 1 or more
     */
    public static PairedTime of(
            RunningModel reference, RunningModel candidate, Map<String, Tensor> inputs, int turns) {
        return ofTurns(reference, candidate, inputs, turns).stream()
                .reduce(PairedTime::least)
                .orElseThrow();
    }

    /**
     * Measures, and gives the times of each turn.
     *
     * @param turns how often each is timed, 1 or more
     */
    public static List<PairedTime> ofTurns(
            RunningModel reference, RunningModel candidate, Map<String, Tensor> inputs, int turns) {
        reference.warmUp(inputs);
        candidate.warmUp(inputs);
        List<PairedTime> times = new ArrayList<>();
        for (int turn = 0; turn < turns; turn++) {
            times.add(new PairedTime(least(reference, inputs), least(candidate, inputs)));
        }
        return times;
    }

    private static double least(RunningModel model, Map<String, Tensor> inputs) {
        try {
            Thread.sleep(PAUSE_MS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EspalierException("The thread was interrupted while measuring.", e);
        }
        model.runOnly(inputs);
        long least = Long.MAX_VALUE;
        for (int run = 0; run < RUNS_A_TURN; run++) {
            long start = System.nanoTime();
            model.runOnly(inputs);
            least = Math.min(least, System.nanoTime() - start);
        }
        return least / 1e6;
    }
}
