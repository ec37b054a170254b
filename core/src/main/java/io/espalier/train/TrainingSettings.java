package io.espalier.train;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/** What a {@link Trainer} was told. */
final class TrainingSettings implements Cloneable {
    private static final int DEFAULT_BATCH_SIZE = 64;

    int batchSize = DEFAULT_BATCH_SIZE;
    long seed;
    LearningRate learningRate = LearningRate.constant();
    OptionalDouble clipNorm = OptionalDouble.empty();
    OptionalDouble clipValue = OptionalDouble.empty();
    @Nullable EvaluationPass evaluation;
    UnaryOperator<Module> evaluated = UnaryOperator.identity();

    /** How many steps lie between evaluations; 0 where there are none but at the epochs' ends. */
    long evaluationSteps;

    OptionalInt patience = OptionalInt.empty();
    double minDelta;
    boolean keepsBest;
    @Nullable Path checkpointFile;
    long checkpointSteps;
    @Nullable Path resumeFile;
    boolean quiet;
    List<Consumer<? super TrainingEvent>> listeners = new ArrayList<>();

    /** What a training begins with, whatever is set later. */
    TrainingSettings copy() {
        try {
            var copy = (TrainingSettings) clone();
            copy.listeners = new ArrayList<>(listeners);
            return copy;
        } catch (CloneNotSupportedException e) {
            throw new AssertionError("settings are Cloneable", e);
        }
    }

    /**
     * Refuses what can't be done together, or at all.
     *
     * @throws EspalierException if something to look at or to write to is missing
     */
    void check() {
        if ((patience.isPresent() || keepsBest) && evaluation == null) {
            throw new EspalierException(
                    (patience.isPresent() ? "Patience" : "Keeping the best model")
                            + " needs an evaluation to look at; call evaluateEvery or"
                            + " evaluateEpochs.");
        }
        if (checkpointFile != null) {
            Path folder = checkpointFile.toAbsolutePath().getParent();
            if (folder == null || !Files.isDirectory(folder) || !Files.isWritable(folder)) {
                throw new EspalierException(
                        "Can't write checkpoints to "
                                + checkpointFile
                                + ": no folder "
                                + folder
                                + " that may be written to.");
            }
        }
    }

    /** What the schedules among the listeners have still to do after so many steps. */
    List<String> unfinished(long step) {
        return listeners.stream()
                .filter(ModelSchedule.class::isInstance)
                .flatMap(schedule -> ((ModelSchedule) schedule).unfinished(step).stream())
                .toList();
    }
}
