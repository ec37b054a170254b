package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;

/** What a fine-tuner was told. */
final class FineTuningSettings {
    /** Whom the model learns from; empty where labels say what is right. */
    Optional<OnnxModel> teacher = Optional.empty();

    /** How often training goes through the data; 0 for none. */
    int epochs;

    /** After how many minutes training ends, whatever the epochs. */
    OptionalDouble minutes = OptionalDouble.empty();

    double learningRate = 1e-5;
    long seed;
    boolean integers;
    int threads = Runtime.getRuntime().availableProcessors();
    Optional<Path> checkpoints = Optional.empty();
    boolean goingOn;
    FineTuner.Listener listener = (stage, done, total) -> {};

    /** The same settings with a change, while these stay. */
    FineTuningSettings with(Consumer<FineTuningSettings> change) {
        var changed = new FineTuningSettings();
        changed.teacher = teacher;
        changed.epochs = epochs;
        changed.minutes = minutes;
        changed.learningRate = learningRate;
        changed.seed = seed;
        changed.integers = integers;
        changed.threads = threads;
        changed.checkpoints = checkpoints;
        changed.goingOn = goingOn;
        changed.listener = listener;
        change.accept(changed);
        return changed;
    }
}
