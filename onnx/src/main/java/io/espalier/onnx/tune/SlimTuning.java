package io.espalier.onnx.tune;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.slim.Slimming;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Slims an ONNX model to its target in rounds, each of which takes a part of what is to go and
 * trains what is left, before the next one takes more (Molchanov et al., <a
 * href="https://arxiv.org/abs/1611.06440">Pruning Convolutional Neural Networks for Resource
 * Efficient Inference</a>, 2017).
 *
 * <pre>{@code
 * TunedSlim tuned = SlimTuning.of(
 *                 OnnxSlimmer.of(model).macs(0.6).importance(Importance.secondOrder(lines)),
 *                 FineTuner.distilling(model).minutes(10))
 *         .rounds(2)
 *         .run(lines);
 * tuned.slim().model().save(Path.of("slim.onnx"));
 * }</pre>
 *
 * <p>The rounds share the minutes or epochs of the fine-tuner. It never changes: each setting gives
 * another.
 */
public final class SlimTuning {
    /** As much as fine-tuning looks at. */
    private static final int MOST_EXAMPLES = 256;

    /** More would take less than a channel each. */
    private static final int MOST_ROUNDS = 100;

    private final Slimming slimming;
    private final FineTuner tuner;
    private final int rounds;
    private final Optional<Path> journal;
    private final Checkpoint.Start start;
    private final FineTuner.Listener listener;

    private SlimTuning(
            Slimming slimming,
            FineTuner tuner,
            int rounds,
            Optional<Path> journal,
            Checkpoint.Start start,
            FineTuner.Listener listener) {
        this.slimming = slimming;
        this.tuner = tuner;
        this.rounds = rounds;
        this.journal = journal;
        this.start = start;
        this.listener = listener;
    }

    /**
     * A slimming with training, in one round.
     *
     * @param tuner what trains, which learns from the model that is slimmed, or from labels
     */
    public static SlimTuning of(Slimming slimming, FineTuner tuner) {
        return new SlimTuning(
                Needed.of(slimming, "the slimming"),
                Needed.of(tuner, "the fine-tuner"),
                1,
                Optional.empty(),
                Checkpoint.Start.GOING_ON,
                (stage, done, total) -> {});
    }

    /**
     * In how many rounds; 1 unless it is set. Each leaves the same share of what the one before has
     * left, so that all of them leave what is asked for.
     *
     * @param count from 1 to 100
     * @throws EspalierException if the target is a largest drop, which is reached at once
     */
    public SlimTuning rounds(int count) {
        if (count < 1 || count > MOST_ROUNDS) {
            throw new EspalierException(
                    "There are from 1 to %d rounds, not %d.".formatted(MOST_ROUNDS, count));
        }
        if (count > 1 && !slimming.hasParts()) {
            throw new EspalierException(
                    "A largest drop is reached in one round; for more, give another target.");
        }
        return new SlimTuning(slimming, tuner, count, journal, start, listener);
    }

    /**
     * Keeps what it reaches in a folder from time to time; what an earlier run of the same model,
     * data and settings left there is gone on from, and what other work left is refused.
     */
    public SlimTuning journal(Path folder) {
        return journal(folder, Checkpoint.Start.GOING_ON);
    }

    /** The same, but that what other work left there goes. */
    public SlimTuning scratchJournal(Path folder) {
        return journal(folder, Checkpoint.Start.GOING_ON_IF_SAME);
    }

    private SlimTuning journal(Path folder, Checkpoint.Start how) {
        Optional<Path> place = Optional.of(Needed.of(folder, "the folder of the journal"));
        return new SlimTuning(slimming, tuner, rounds, place, how, listener);
    }

    /**
     * Deletes a journal that is not needed any more; what else lies in its folder stays.
     *
     * @throws EspalierException if it can't be deleted
     */
    public static void deleteJournal(Path folder) {
        try {
            Checkpoint.delete(folder);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't delete %s: %s.".formatted(folder, AtomicFile.reason(e)), e);
        }
    }

    /** Tells somebody how far it is. */
    public SlimTuning progress(FineTuner.Listener told) {
        Needed.of(told, "the listener");
        return new SlimTuning(slimming, tuner, rounds, journal, start, told);
    }

    /**
     * Slims and trains.
     *
     * @param data what is learned from; with labels, if the fine-tuner learns from those
     * @throws EspalierException as {@link Slimming#run} and {@link FineTuner#tune} do, or if the
     *     journal is of other work
     */
    public TunedSlim run(Inputs data) {
        Needed.of(data, "the data");
        OnnxModel model = slimming.model();
        if (tuner.settings().epochs() > 0) {
            GradientTraining.requireLowered(Repair.withoutFunctions(model));
        }
        try (var checkpoint =
                journal.map(folder -> Checkpoint.open(folder, start)).orElseGet(Checkpoint::none)) {
            try (var read = CalibrationData.read(model, data, MOST_EXAMPLES)) {
                String words = slimming + "; " + tuner.settings().words() + "; " + rounds;
                checkpoint.of(read.digest(words, model));
            }
            return new SlimTuningRun(
                            slimming.progress(listener::at),
                            tuner.progress(listener).ofRounds(rounds),
                            rounds,
                            checkpoint,
                            data)
                    .run();
        }
    }
}
