package io.espalier.onnx.run;

import io.espalier.onnx.model.OnnxModel;
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
    private static final PairedTime NONE =
            new PairedTime(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY);

    private static final long PAUSE_MS = 30;

    /** What is short is timed as often in a turn as takes so long, in nanoseconds. */
    private static final long TIMED_A_TURN = 100_000_000;

    private static final int MOST_RUNS_A_TURN = 3;
    private static final int TURNS_A_SESSION = 3;

    /** Whether times are not known well enough yet. */
    @FunctionalInterface
    public interface Doubt {
        /**
         * Whether both have to be timed again.
         *
         * @param least the times so far
         * @param times how often each has been timed, 1 or more
         */
        boolean remains(PairedTime least, int times);
    }

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
     * Measures two models that are opened anew as long as doubt remains: where a session's weights
     * come to lie in memory makes it faster or slower than the next by some hundredths.
     *
     * @param doubt after so many sessions of each
     */
    public static PairedTime ofSessions(
            OnnxModel reference, OnnxModel candidate, Map<String, Tensor> inputs, Doubt doubt) {
        return least(turnsOfSessions(reference, candidate, inputs, doubt));
    }

    /** Measures likewise, and gives the times of each turn. */
    public static List<PairedTime> turnsOfSessions(
            OnnxModel reference, OnnxModel candidate, Map<String, Tensor> inputs, Doubt doubt) {
        List<PairedTime> turns = new ArrayList<>();
        int sessions = 0;
        do {
            try (var first = OnnxSession.open(reference);
                    var second = OnnxSession.open(candidate)) {
                turns.addAll(ofTurns(first, second, inputs, TURNS_A_SESSION));
            }
        } while (doubt.remains(least(turns), ++sessions));
        return turns;
    }

    /** The least times of some turns. */
    public static PairedTime least(List<PairedTime> turns) {
        return turns.stream().reduce(NONE, PairedTime::least);
    }

    /**
     * Measures.
     *
     * @param turns how often each is timed, 1 or more
     */
    public static PairedTime of(
            RunningModel reference, RunningModel candidate, Map<String, Tensor> inputs, int turns) {
        return of(reference, candidate, inputs, (least, done) -> done < turns);
    }

    /** Measures turn after turn, one at least, as long as doubt remains. */
    public static PairedTime of(
            RunningModel reference,
            RunningModel candidate,
            Map<String, Tensor> inputs,
            Doubt doubt) {
        return least(ofTurns(reference, candidate, inputs, doubt));
    }

    /**
     * Measures, and gives the times of each turn.
     *
     * @param turns how often each is timed, 1 or more
     */
    public static List<PairedTime> ofTurns(
            RunningModel reference, RunningModel candidate, Map<String, Tensor> inputs, int turns) {
        return ofTurns(reference, candidate, inputs, (least, done) -> done < turns);
    }

    private static List<PairedTime> ofTurns(
            RunningModel reference,
            RunningModel candidate,
            Map<String, Tensor> inputs,
            Doubt doubt) {
        reference.warmUp(inputs);
        candidate.warmUp(inputs);
        List<PairedTime> times = new ArrayList<>();
        PairedTime least = NONE;
        do {
            times.add(new PairedTime(least(reference, inputs), least(candidate, inputs)));
            least = least.least(times.getLast());
        } while (doubt.remains(least, times.size()));
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
        long sum = 0;
        for (int run = 0; run < MOST_RUNS_A_TURN && sum < TIMED_A_TURN; run++) {
            long start = System.nanoTime();
            model.runOnly(inputs);
            long time = System.nanoTime() - start;
            least = Math.min(least, time);
            sum += time;
        }
        return least / 1e6;
    }
}
