package io.espalier.train;

import io.espalier.data.Batch;
import io.espalier.data.Batches;
import io.espalier.data.DataLoader;
import io.espalier.tensor.EspalierException;
import io.espalier.train.TrainingResult.End;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** One training in progress: where it stands, and the loop that moves it on. */
final class TrainingRun {
    private final Trainer trainer;
    private final DataLoader loader;
    private final int epochs;
    private final long steps;
    private final List<Scores> evaluations = new ArrayList<>();
    private long step;
    private int epoch;
    private double epochLoss;
    private long epochSteps;
    private @Nullable Scores best;

    /** The last evaluation that was better by enough to go on for. */
    private @Nullable Scores progress;

    private int evaluationsWithoutProgress;

    TrainingRun(Trainer trainer, DataLoader loader, int epochs) {
        this.trainer = trainer;
        this.loader = loader;
        this.epochs = epochs;
        this.steps = (long) epochs * loader.batches();
    }

    TrainingResult run() {
        boolean training = trainer.model.isTraining();
        if (!training) {
            trainer.model.train();
        }
        try (var rates = new LearningRates(trainer.optimizer)) {
            End end = End.COMPLETED;
            while (epoch < epochs && end == End.COMPLETED) {
                end = runEpoch(rates);
            }
            return new TrainingResult(
                    end,
                    step,
                    epoch,
                    epochLoss / epochSteps,
                    evaluations,
                    Optional.ofNullable(best));
        } finally {
            if (!training) {
                trainer.model.eval();
            }
        }
    }

    /** Runs the rest of the current epoch; what it ends with is {@code COMPLETED} to go on. */
    private End runEpoch(LearningRates rates) {
        epochLoss = 0;
        epochSteps = 0;
        try (Batches batches = loader.epoch(epoch)) {
            while (batches.hasNext()) {
                if (trainer.mustStop()) {
                    return End.STOPPED;
                }
                makeStep(batches.next(), rates);
                boolean last = !batches.hasNext();
                if (last) {
                    tell(new TrainingEvent.EpochEnd(epoch, step, epochLoss / epochSteps));
                }
                if (evaluationIsDue(last) && !evaluate()) {
                    epoch += last ? 1 : 0;
                    return End.NO_PROGRESS;
                }
            }
        }
        epoch++;
        return End.COMPLETED;
    }

    private void makeStep(Batch batch, LearningRates rates) {
        rates.scale(
                trainer.learningRate.factor(
                        new LearningRate.Position(step, steps, loader.batches())));
        double value;
        try (var scope = new PointerScope()) {
            trainer.optimizer.zero_grad();
            Tensor loss = trainer.loss.of(trainer.model.call(batch.input()), batch.target());
            value = loss.item_double();
            requireFinite(value, rates);
            loss.backward();
            clip();
            trainer.optimizer.step();
        }
        step++;
        epochSteps++;
        epochLoss += value;
        tell(new TrainingEvent.Step(step, steps, epoch, value, rates.first()));
    }

    private void requireFinite(double loss, LearningRates rates) {
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

    private void clip() {
        if (trainer.clipNorm.isPresent() || trainer.clipValue.isPresent()) {
            var parameters = new TensorVector(trainer.model.parameters().toArray(new Tensor[0]));
            trainer.clipNorm.ifPresent(norm -> torch.clip_grad_norm_(parameters, norm));
            trainer.clipValue.ifPresent(value -> torch.clip_grad_value_(parameters, value));
        }
    }

    private boolean evaluationIsDue(boolean epochEnds) {
        return trainer.evaluation != null
                && (epochEnds
                        || (trainer.evaluationSteps.isPresent()
                                && step % trainer.evaluationSteps.getAsLong() == 0));
    }

    /** Evaluates; whether there is reason to go on. */
    private boolean evaluate() {
        Scores scores = requireEvaluation().run(trainer.model, step);
        evaluations.add(scores);
        boolean isBest = best == null || isBetter(scores, best, 0);
        if (isBest) {
            best = scores;
        }
        if (progress == null || isBetter(scores, progress, trainer.minDelta)) {
            progress = scores;
            evaluationsWithoutProgress = 0;
        } else {
            evaluationsWithoutProgress++;
        }
        tell(new TrainingEvent.Evaluated(epoch, scores, isBest));
        return trainer.patience.isEmpty()
                || evaluationsWithoutProgress < trainer.patience.getAsInt();
    }

    private boolean isBetter(Scores scores, Scores than, double minDelta) {
        boolean higher = requireEvaluation().metrics().getFirst().higherIsBetter();
        double gain = higher ? scores.first() - than.first() : than.first() - scores.first();
        return gain > 0 && gain >= minDelta;
    }

    private EvaluationPass requireEvaluation() {
        return Objects.requireNonNull(trainer.evaluation);
    }

    private void tell(TrainingEvent event) {
        trainer.listeners.forEach(listener -> listener.accept(event));
    }
}
