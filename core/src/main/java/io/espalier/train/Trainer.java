package io.espalier.train;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Optimizer;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * Trains a model: the loop of steps, with schedules, evaluation, early stop and progress.
 *
 * <pre>{@code
 * Trainer.of(model, Losses.crossEntropy(), Optimizers.sgd(model.parameters(), 0.01))
 *     .evaluateEvery(500, testSet, Metrics.accuracy())
 *     .train(trainSet, 10);
 * }</pre>
 *
 * <p>A model whose top module is in training mode is trained with its layers' own modes, so that a
 * frozen layer stays frozen; otherwise all of it is put in training mode first.
 *
 * <p>Settings made during a training hold for the next; {@link #stop} may be called at any time
 * from any thread.
 */
public final class Trainer {
    final Module model;
    final Loss loss;
    final Optimizer optimizer;
    private final TrainingSettings settings = new TrainingSettings();
    private volatile boolean stopped;

    private Trainer(Module model, Loss loss, Optimizer optimizer) {
        this.model = model;
        this.loss = loss;
        this.optimizer = optimizer;
    }

    /** A trainer of a model by one of libtorch's optimizers over the model's parameters. */
    public static Trainer of(Module model, Loss loss, Optimizer optimizer) {
        return new Trainer(model, loss, optimizer);
    }

    private Trainer with(Consumer<TrainingSettings> change) {
        change.accept(settings);
        return this;
    }

    /**
     * Trains on batches of this many examples; 64 where nothing is said.
     *
     * @throws EspalierException if it is below 1
     */
    public Trainer batchSize(int examples) {
        Settings.requirePositive("The batch size", examples);
        return with(s -> s.batchSize = examples);
    }

    /**
     * Seeds the order of the examples, which is otherwise that of seed 0. Initialization and
     * dropout follow libtorch's own generator ({@link io.espalier.tensor.Libtorch#seed}).
     */
    public Trainer seed(long seed) {
        return with(s -> s.seed = seed);
    }

    /** Changes the optimizer's learning rates as training goes on; afterwards they are restored. */
    public Trainer learningRate(LearningRate schedule) {
        return with(s -> s.learningRate = schedule);
    }

    /**
     * Scales the gradients of a step down where the norm over all of them is above {@code norm}
     * (Pascanu et al., <a href="https://arxiv.org/abs/1211.5063">On the difficulty of training
     * recurrent neural networks</a>, 2013).
     *
     * @throws EspalierException if it is not above 0
     */
    public Trainer clipNorm(double norm) {
        Settings.requirePositive("The norm to clip gradients to", norm);
        return with(s -> s.clipNorm = OptionalDouble.of(norm));
    }

    /**
     * Cuts each element of the gradients to −{@code value} … {@code value}.
     *
     * @throws EspalierException if it is not above 0
     */
    public Trainer clipValue(double value) {
        Settings.requirePositive("The value to clip gradients to", value);
        return with(s -> s.clipValue = OptionalDouble.of(value));
    }

    /**
     * Evaluates the model after every {@code steps} steps and at the end of every epoch.
     *
     * @param metrics what to measure; the first decides which model is the best
     * @throws EspalierException if {@code steps} is below 1 or there is no metric
     */
    public Trainer evaluateEvery(long steps, Dataset dataset, Metric... metrics) {
        Settings.requirePositive("The number of steps between evaluations", steps);
        return evaluateEpochs(dataset, metrics).with(s -> s.evaluationSteps = steps);
    }

    /**
     * Evaluates the model at the end of every epoch.
     *
     * @param metrics what to measure; the first decides which model is the best
     * @throws EspalierException if there is no metric
     */
    public Trainer evaluateEpochs(Dataset dataset, Metric... metrics) {
        var pass =
                new EvaluationPass(
                        new DataLoader(dataset, EvaluationPass.BATCH_SIZE), List.of(metrics));
        return with(s -> {
            s.evaluation = pass;
            s.evaluationSteps = 0;
        });
    }

    /**
     * Evaluates what {@code form} makes of the model, instead of the model itself: {@code
     * Quantization::converted} measures a model in quantization-aware training as the integers will
     * compute it. What is best, and when patience ends, follows from it.
     *
     * @param form gives another model and leaves the one it gets as it is
     */
    public Trainer evaluateAs(UnaryOperator<Module> form) {
        return with(s -> s.evaluated = form);
    }

    /**
     * Stops when the first metric has not become better in so many evaluations in a row, counted as
     * for {@link #keepBest}.
     *
     * @param evaluations how many
     * @param minDelta by how much it must become better to count
     * @throws EspalierException if {@code evaluations} is below 1 or {@code minDelta} is negative
     */
    public Trainer patience(int evaluations, double minDelta) {
        Settings.requirePositive("The number of evaluations to wait", evaluations);
        Settings.requireNotNegative("The smallest improvement", minDelta);
        return with(s -> {
            s.patience = OptionalInt.of(evaluations);
            s.minDelta = minDelta;
        });
    }

    /**
     * Leaves the model, when the training ends, as it was at the evaluation with the best first
     * metric. Where a schedule prunes it meanwhile ({@link ModelSchedule}), masks come to prune
     * more, or fake quantizations are switched, only evaluations after that count, so that what
     * comes out is as sparse as was asked. If there was none, it stays as the last step left it and
     * the result's {@link TrainingResult#warnings} say so.
     */
    public Trainer keepBest() {
        return with(s -> s.keepsBest = true);
    }

    /**
     * Writes a checkpoint after every {@code steps} steps and when the training ends or is stopped:
     * one file, replaced in one step, so that a crash at any moment leaves the last one whole.
     *
     * @throws EspalierException if {@code steps} is below 1
     */
    public Trainer checkpointEvery(long steps, Path file) {
        Settings.requirePositive("The number of steps between checkpoints", steps);
        return with(s -> {
            s.checkpointSteps = steps;
            s.checkpointFile = file;
        });
    }

    /**
     * Lets the next training go on from a checkpoint, exactly as if it had not been interrupted:
     * with the model, the optimizer, the order of the examples, the random generator and the
     * schedule where they were. Model, optimizer and data must be set up as they were then; the
     * number of epochs may be another.
     */
    public Trainer resume(Path checkpoint) {
        return with(s -> s.resumeFile = checkpoint);
    }

    /**
     * Tells {@code listener} what happens, on the training thread. One that is a {@link
     * ModelSchedule} also says from when on evaluations count.
     */
    public Trainer listen(Consumer<? super TrainingEvent> listener) {
        return with(s -> s.listeners.add(listener));
    }

    /**
     * Shows nothing by itself. Otherwise a program at a terminal sees how far it is, a line for
     * each epoch and evaluation; one whose input or output is a file or a pipe never does.
     */
    public Trainer quiet() {
        return with(s -> s.quiet = true);
    }

    /**
     * Trains on a dataset, shuffled anew in every epoch.
     *
     * @param epochs how often to go through it
     * @throws EspalierException as {@link #train(DataLoader, int)} does
     */
    public TrainingResult train(Dataset dataset, int epochs) {
        return train(new DataLoader(dataset, settings.batchSize).shuffled(settings.seed), epochs);
    }

    /**
     * Trains on the batches of a loader, its epochs counted from 0.
     *
     * @param epochs how often to go through it
     * @return how it went, and what a user should know of it
     * @throws EspalierException if there is no batch, {@code epochs} is negative, what {@link
     *     #keepBest} or {@link #patience} look at is missing, the optimizer holds none of the
     *     model's parameters, checkpoints can't be written, the checkpoint to go on from does not
     *     fit (nothing has changed then), or the loss is not a finite number (the step that showed
     *     it is not made then)
     */
    public TrainingResult train(DataLoader loader, int epochs) {
        Settings.requireNotNegative("The number of epochs", epochs);
        TrainingSettings now = settings.copy();
        now.check();
        if (loader.batches() == 0) {
            throw new EspalierException(
                    "Nothing to train on: a dataset of "
                            + loader.dataset().size()
                            + " examples gives no batch of "
                            + loader.batchSize()
                            + ".");
        }
        List<String> warnings =
                MovedParameters.of(model, optimizer).checked().map(List::of).orElse(List.of());
        stopped = false;
        var best = new BestModel();
        Progress start =
                now.resumeFile == null
                        ? Progress.START
                        : new Resumption(now.resumeFile, this, now.keepsBest, loader).restore(best);
        settings.resumeFile = null;
        try (var progress = TerminalProgress.of(now.quiet, epochs)) {
            return new TrainingRun(this, now, loader, epochs, start, best, warnings, progress)
                    .run();
        }
    }

    /** Ends a training in progress after its current step; may be called from any thread. */
    public void stop() {
        stopped = true;
    }

    boolean mustStop() {
        return stopped || Thread.currentThread().isInterrupted();
    }
}
