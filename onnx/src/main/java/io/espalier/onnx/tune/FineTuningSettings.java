package io.espalier.onnx.tune;

import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.OnnxModel;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Consumer;

/** What a fine-tuner was told. */
final class FineTuningSettings {
    private static final int USUAL_EPOCHS = 10;

    /** More than any time is enough for. */
    private static final int UNTIL_TIME_IS_OVER = 1_000_000;

    /** In units of a channel's typical weight. */
    static final double RATE_OF_FLOATS = 2e-4;

    /** In units of the integers themselves. */
    private static final double RATE_OF_INTEGERS = 0.01;

    /** Whom the model learns from; empty where labels say what is right. */
    Optional<OnnxModel> teacher = Optional.empty();

    /** What labels mean, where they say what is right. */
    Task task = Task.classes();

    /** How often training goes through the data, if it was said; 0 for not at all. */
    OptionalInt epochs = OptionalInt.empty();

    /** After how many minutes training ends; with epochs, after these at the latest. */
    OptionalDouble minutes = OptionalDouble.empty();

    /** The rate of training, if it was said. */
    OptionalDouble learningRate = OptionalDouble.empty();

    long seed;
    boolean integers;

    /** Whether integers are trained, after layers were fitted to them. */
    boolean trainsIntegers;

    int threads = Runtime.getRuntime().availableProcessors();
    Optional<Path> checkpoints = Optional.empty();
    Checkpoint.Start start = Checkpoint.Start.ANEW;
    FineTuner.Listener listener = (stage, done, total) -> {};

    /** How often training goes through the data. */
    int epochs() {
        if (isByTime()) {
            return UNTIL_TIME_IS_OVER;
        }
        return epochs.orElse(teacher.isEmpty() || trainsIntegers ? USUAL_EPOCHS : 0);
    }

    /** Whether only time ends training. */
    boolean isByTime() {
        return epochs.isEmpty() && minutes.isPresent();
    }

    double learningRate() {
        return learningRate.orElse(trainsIntegers ? RATE_OF_INTEGERS : RATE_OF_FLOATS);
    }

    /** The same for one of several rounds, which share epochs and minutes. */
    FineTuningSettings ofRounds(int rounds) {
        return with(s -> {
            s.minutes =
                    minutes.isEmpty() ? minutes : OptionalDouble.of(minutes.getAsDouble() / rounds);
            s.epochs =
                    epochs.isEmpty()
                            ? epochs
                            : OptionalInt.of(Math.ceilDiv(epochs.getAsInt(), rounds));
        });
    }

    /** All that decides what is learned, in words. */
    String words() {
        return String.join(
                "; ",
                teacher.isPresent() ? "a teacher, judged apart" : task.toString(),
                String.valueOf(epochs()),
                String.valueOf(learningRate()),
                String.valueOf(seed),
                String.valueOf(integers),
                String.valueOf(trainsIntegers));
    }

    /** The same settings with a change, while these stay. */
    FineTuningSettings with(Consumer<FineTuningSettings> change) {
        var changed = new FineTuningSettings();
        changed.teacher = teacher;
        changed.task = task;
        changed.epochs = epochs;
        changed.minutes = minutes;
        changed.learningRate = learningRate;
        changed.seed = seed;
        changed.integers = integers;
        changed.trainsIntegers = trainsIntegers;
        changed.threads = threads;
        changed.checkpoints = checkpoints;
        changed.start = start;
        changed.listener = listener;
        change.accept(changed);
        return changed;
    }
}
