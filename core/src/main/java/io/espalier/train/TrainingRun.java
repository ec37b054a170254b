package io.espalier.train;

import io.espalier.data.Batch;
import io.espalier.data.Batches;
import io.espalier.data.DataLoader;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.TensorException;
import io.espalier.train.TrainingResult.End;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** One training in progress: where it stands, and the loop that moves it on. */
final class TrainingRun {
    private final Trainer trainer;
    private final TrainingSettings settings;
    private final TerminalProgress progress;
    private final DataLoader loader;
    private final int epochs;
    private final LearningRates rates;
    private final BestModel bestModel;
    private final Evaluations evaluations;
    private final List<String> warnings;
    private long step;
    private int epoch;
    private int batch;
    private double epochLoss;
    private int epochSteps;

    /** The step that the last checkpoint holds. */
    private long saved;

    /** A run that goes on from where {@code progress} says. */
    TrainingRun(
            Trainer trainer,
            TrainingSettings settings,
            DataLoader loader,
            int epochs,
            Progress start,
            BestModel bestModel,
            List<String> warnings,
            TerminalProgress progress) {
        this.trainer = trainer;
        this.settings = settings;
        this.progress = progress;
        this.loader = loader;
        this.epochs = epochs;
        this.rates = new LearningRates(trainer.optimizer);
        this.bestModel = bestModel;
        this.evaluations = new Evaluations(trainer.model, settings, start, bestModel);
        this.warnings = new ArrayList<>(warnings);
        step = start.step();
        epoch = start.epoch();
        batch = start.batch();
        epochLoss = start.epochLoss();
        epochSteps = start.epochSteps();
        saved = step;
    }

    TrainingResult run() {
        boolean training = trainer.model.isTraining();
        if (!training) {
            trainer.model.train();
        }
        try (rates) {
            End end = ended();
            while (end == null) {
                runEpoch();
                end = ended();
            }
            if (settings.checkpointFile != null && step > saved) {
                writeCheckpoint(settings.checkpointFile);
            }
            if (settings.keepsBest) {
                evaluations.restoreBest().ifPresent(warnings::add);
            }
            warnings.addAll(settings.unfinished(step));
            return new TrainingResult(
                    end,
                    step,
                    epoch,
                    epochLoss / epochSteps,
                    evaluations.all(),
                    evaluations.best(),
                    warnings);
        } finally {
            if (!training) {
                trainer.model.eval();
            }
        }
    }

    /** Why the training ends here; null where it goes on. */
    private @Nullable End ended() {
        if (epoch >= epochs) {
            return End.COMPLETED;
        }
        if (settings.patience.isPresent()
                && evaluations.sinceGain() >= settings.patience.getAsInt()) {
            return End.NO_PROGRESS;
        }
        return trainer.mustStop() ? End.STOPPED : null;
    }

    /** Runs what is left of the current epoch, or up to where the training ends. */
    private void runEpoch() {
        int current = epoch;
        try (Batches batches = loader.epoch(current, batch)) {
            while (batches.hasNext() && ended() == null) {
                Batch next = nextOf(batches);
                if (next == null) {
                    return;
                }
                makeStep(next);
                boolean last = !batches.hasNext();
                if (last) {
                    epoch++;
                    batch = 0;
                    tell(new TrainingEvent.EpochEnd(current, step, epochLoss / epochSteps));
                }
                if (settings.evaluation != null && (last || isDue(settings.evaluationSteps))) {
                    tell(evaluations.add(settings.evaluation, current, step));
                }
                if (settings.checkpointFile != null && isDue(settings.checkpointSteps)) {
                    writeCheckpoint(settings.checkpointFile);
                }
            }
        }
    }

    /** The next batch; null where waiting for it was interrupted. */
    private static @Nullable Batch nextOf(Batches batches) {
        try {
            return batches.next();
        } catch (EspalierException e) {
            if (e.getCause() instanceof InterruptedException) {
                return null;
            }
            throw e;
        }
    }

    private boolean isDue(long everySteps) {
        return everySteps > 0 && step % everySteps == 0;
    }

    private void makeStep(Batch examples) {
        long steps = (long) epochs * loader.batches();
        rates.scale(
                settings.learningRate.factor(
                        new LearningRate.Position(step, steps, loader.batches())));
        double value;
        try (var scope = new PointerScope()) {
            trainer.optimizer.zero_grad();
            Tensor output = trainer.model.call(examples.input());
            Tensor loss = Needed.given(trainer.loss.of(output, examples.target()), "the loss");
            value = loss.item_double();
            requireFinite(value);
            requireDependent(loss);
            loss.backward();
            clip();
            trainer.optimizer.step();
        } catch (RuntimeException e) {
            throw TensorException.in("Step " + (step + 1) + " of the training", e);
        }
        if (batch == 0) {
            epochLoss = 0;
            epochSteps = 0;
        }
        step++;
        batch++;
        epochSteps++;
        epochLoss += value;
        tell(new TrainingEvent.Step(step, steps, epoch, value, rates.first()));
    }

    private void requireFinite(double loss) {
        if (!Double.isFinite(loss)) {
            throw new EspalierException(
                    "The loss is "
                            + loss
                            + " in step "
                            + (step + 1)
                            + " at a learning rate of "
                            + rates.first()
                            + "; lower the rate, clip the gradients, or look for such values in the"
                            + " data.");
        }
    }

    private void requireDependent(Tensor loss) {
        if (!loss.requires_grad()) {
            throw new EspalierException(
                    "The loss depends on no parameter that trains, in step "
                            + (step + 1)
                            + "; layers in integers pass no gradient on: train a model before it"
                            + " is converted.");
        }
    }

    private void clip() {
        if (settings.clipNorm.isPresent() || settings.clipValue.isPresent()) {
            var parameters = new TensorVector(trainer.model.parameters().toArray(new Tensor[0]));
            settings.clipNorm.ifPresent(norm -> torch.clip_grad_norm_(parameters, norm));
            settings.clipValue.ifPresent(value -> torch.clip_grad_value_(parameters, value));
        }
    }

    private void writeCheckpoint(Path file) {
        var description =
                new Checkpoint.Description(
                        evaluations.progress(step, epoch, batch, epochLoss, epochSteps),
                        Progress.Order.of(loader),
                        OptimizerKind.of(trainer.optimizer, trainer.model));
        // A channel of an interrupted thread closes; the checkpoint is to be written all the same.
        boolean interrupted = Thread.interrupted();
        try (var scope = new PointerScope()) {
            OptimizerState optimizer = OptimizerArchive.read(trainer.optimizer);
            new Checkpoint(
                            description,
                            trainer.model.stateDict(),
                            bestModel.state(),
                            optimizer.withLearningRates(rates.base()),
                            RandomState.get())
                    .write(file);
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
        saved = step;
        tell(new TrainingEvent.Checkpointed(step, file));
    }

    private void tell(TrainingEvent event) {
        progress.accept(event);
        settings.listeners.forEach(listener -> listener.accept(event));
    }
}
