package io.espalier.prune;

import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingResult;

import java.util.List;
import java.util.function.Consumer;

/** What is done to a model after it was pruned. */
@FunctionalInterface
interface FineTuning {
    /** Nothing. */
    FineTuning NONE = model -> new Outcome(true, List.of());

    Outcome tune(Module model);

    /**
     * How it went.
     *
     * @param completed whether it was not stopped
     * @param warnings what a user should know of it
     */
    record Outcome(boolean completed, List<String> warnings) {}

    static FineTuning by(Trainer trainer, Dataset dataset, int epochs) {
        return model -> {
            TrainingResult result = trainer.train(dataset, epochs);
            return new Outcome(result.end() != TrainingResult.End.STOPPED, result.warnings());
        };
    }

    static FineTuning by(Consumer<? super Module> training) {
        return model -> {
            training.accept(model);
            return new Outcome(true, List.of());
        };
    }
}
