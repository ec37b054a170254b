package io.espalier.onnx.quant;

import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.OperatorTimes;
import io.espalier.onnx.run.PairedTime;
import io.espalier.onnx.run.RunningModel;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.Optional;

/**
 * Whether a candidate may take the float model's place: how far its results are, how fast it is.
 */
final class Judgement {
    /** Turns after which a clear answer is believed; others need more. */
    private static final int FEWEST_TURNS = 2;

    private static final int TURNS = 4;
    private static final int MOST_TURNS = 20;

    /** So much more than what is asked is clear. */
    private static final double CLEARLY = 1.03;

    /** So much less no patience makes up for. */
    private static final double HOPELESS = 0.75;

    /** What takes less, in milliseconds, is not noted exactly enough. */
    private static final double SHORTEST = 5;

    private static final int PROFILED_RUNS = 3;

    /** Two timings of one model differ by as much. */
    private static final double NOISE = 1.02;

    private final OnnxModel original;
    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final ReferenceOutputs reference;
    private @Nullable OnnxModel lastJudged;
    private double lastDrop;
    private final double right;
    private @Nullable OnnxModel lastTimed;
    private @Nullable PairedTime lastTime;

    Judgement(ReferenceOutputs reference, CalibrationData data, QuantizationSettings settings) {
        this.original = reference.model();
        this.data = data;
        this.settings = settings;
        this.reference = reference;
        this.right = settings.task().map(task -> share(task, original)).orElse(1.0);
        if (right == 0) {
            throw new EspalierException(
                    "The model gets nothing right of the calibration data; check the labels, and"
                            + " how its inputs are made.");
        }
    }

    /**
     * What the budget is for: the part of right results that is lost, where labels say what is
     * right, else how far results are from those of the model that came in.
     */
    double drop(OnnxModel model) {
        if (lastJudged != model) {
            lastDrop =
                    settings.task().isPresent()
                            ? score(model).orElseThrow().drop()
                            : reference.drop(model);
            lastJudged = model;
        }
        return lastDrop;
    }

    /** The same of a model of any runtime. */
    double drop(RunningModel model) {
        return settings.task().isPresent() ? score(model).orElseThrow().drop() : distance(model);
    }

    /** How far the model's results are from those of the model that came in, from 0 on. */
    double distance(OnnxModel model) {
        return settings.task().isPresent() ? reference.drop(model) : drop(model);
    }

    double distance(RunningModel model) {
        return reference.drop(model);
    }

    /** How much both models get right, where labels say what that is. */
    Optional<TaskScore> score(OnnxModel model) {
        return settings.task().map(task -> score(task, share(task, model)));
    }

    Optional<TaskScore> score(RunningModel model) {
        return settings.task().map(task -> score(task, share(task, model)));
    }

    private TaskScore score(Task task, double share) {
        return new TaskScore(task.metric(), right, share);
    }

    private double share(Task task, OnnxModel model) {
        try (var session = OnnxSession.open(model, s -> s.threads(settings.threads()))) {
            return share(task, session);
        }
    }

    private double share(Task task, RunningModel model) {
        return TaskScore.of(task, model, data.batches(), data.requireLabels());
    }

    /** Says that a model computes what another does, under other names. */
    void isSame(OnnxModel model, OnnxModel renamed) {
        if (lastJudged == model) {
            lastJudged = renamed;
        }
    }

    boolean isWithinBudget(OnnxModel model) {
        return drop(model) <= settings.maxDrop();
    }

    /** Times of the model that came in and of this one. */
    PairedTime time(OnnxModel model) {
        PairedTime known = lastTime;
        if (known == null || lastTimed != model) {
            known = time(original, model, 1);
            lastTime = known;
            lastTimed = model;
        }
        return known;
    }

    /** How many times faster one is than another, of the least times of both. */
    double speedup(OnnxModel before, OnnxModel after) {
        return time(before, after, NOISE).speedup();
    }

    /**
     * How many times faster one is than another in what they do differently, as the runtime notes
     * it: of a large model's time that may be too little to be seen in the whole.
     */
    double speedupOfChanges(OnnxModel before, OnnxModel after) {
        OperatorTimes first = operators(before);
        return first.total() < SHORTEST
                ? speedup(before, after)
                : first.speedupOfChanges(operators(after));
    }

    private OperatorTimes operators(OnnxModel model) {
        return OperatorTimes.of(model, data.first(), settings.threads(), PROFILED_RUNS);
    }

    /** Whether this is more than chance. */
    static boolean isFaster(double speedup) {
        return speedup > NOISE;
    }

    /** Whether a model is as accurate as asked, no larger and no slower than what came in. */
    boolean isNoWorse(OnnxModel model) {
        return isNoWorse(model, time(model).speedup());
    }

    /** The same of a model that is known to be so many times as fast as what came in. */
    boolean isNoWorse(OnnxModel model, double speedup) {
        return model.byteSize() <= original.byteSize()
                && isWithinBudget(model)
                && speedup >= 1 / NOISE;
    }

    /**
     * The least times of both, taken again while the second is not faster by a factor, until
     * patience ends: what else runs on the machine only ever adds.
     */
    private PairedTime time(OnnxModel before, OnnxModel after, double wanted) {
        try (var first = OnnxSession.open(before, s -> s.threads(settings.threads()));
                var second = OnnxSession.open(after, s -> s.threads(settings.threads()))) {
            return time(first, second, wanted);
        }
    }

    /** Times of the model that came in, and of one of any runtime. */
    PairedTime time(RunningModel model) {
        try (var first = OnnxSession.open(original, s -> s.threads(settings.threads()))) {
            return time(first, model, 1);
        }
    }

    private PairedTime time(RunningModel first, RunningModel second, double wanted) {
        return PairedTime.of(
                first, second, data.first(), (least, turns) -> needsMore(least, turns, wanted));
    }

    private static boolean needsMore(PairedTime time, int turns, double wanted) {
        double speedup = time.speedup() / wanted;
        if (turns < FEWEST_TURNS) {
            return true;
        }
        return turns < TURNS
                ? speedup < CLEARLY
                : turns < MOST_TURNS && speedup < 1 && speedup > HOPELESS;
    }
}
