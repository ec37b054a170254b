package io.espalier.prune;

import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.train.Evaluator;
import io.espalier.train.Trainer;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Prunes a model in rounds, each followed by fine-tuning, along a schedule and within a budget of
 * accuracy (Han et al., <a href="https://arxiv.org/abs/1506.02626">Learning both Weights and
 * Connections</a>, 2015).
 *
 * <pre>{@code
 * PruningResult result = IterativePruner.of(model)
 *     .schedule(Schedule.cubic(0.0, 0.95, 10))
 *     .fineTune(trainer, trainSet, 1)
 *     .keepWithin(0.005, evaluator)
 *     .run(checkpoints);
 * }</pre>
 *
 * <p>The model given is pruned and trained in place, as its trainer holds its parameters. However
 * the run ends, with a result or with an exception, the model is then the sparsest one that was
 * within the budget: as it was given, if no round was. The same model lies in {@code
 * best.safetensors} in the directory of checkpoints from the start of the run on, and each round
 * that is kept replaces it in one step. Running again with the same directory goes on after the
 * last completed round; the optimizer's own state (momentum) starts anew there.
 *
 * <p>Settings made during a run hold for the next; {@link #stop} may be called at any time from any
 * thread.
 */
public final class IterativePruner {
    final Module model;
    private final PruningSettings settings;
    private volatile boolean stopped;

    private IterativePruner(Module model) {
        this.model = model;
        this.settings = new PruningSettings(Target.weights(model));
    }

    /** A pruner of all of a model's parameters of 2 or more dimensions: its weights, no biases. */
    public static IterativePruner of(Module model) {
        return new IterativePruner(Needed.of(model, "the model to prune"));
    }

    private IterativePruner with(Consumer<PruningSettings> change) {
        change.accept(settings);
        return this;
    }

    /** Prunes these parameters only. */
    public IterativePruner targets(List<Target> chosen) {
        return with(s -> s.targets = List.copyOf(Needed.all(chosen, "the targets")));
    }

    /**
     * The sparsity after each round, of the targets' entries; round 0 is the model as it is given.
     * Otherwise half of them are pruned in one round.
     */
    public IterativePruner schedule(Schedule rounds) {
        return with(s -> s.schedule = Needed.of(rounds, "the schedule"));
    }

    /** Goes by these scores, asked for in each round, instead of the values themselves. */
    public IterativePruner importance(Importance scores) {
        return with(s -> s.importance = Needed.of(scores, "the importance"));
    }

    /**
     * Prunes the targets' entries as if they were one tensor by another method than {@code
     * L1Unstructured::new}.
     */
    public IterativePruner global(Function<Amount, ? extends PruningMethod.Unstructured> way) {
        return with(s -> {
            s.method = Needed.of(way, "the pruning method");
            s.global = true;
        });
    }

    /**
     * Prunes each target to the scheduled sparsity by itself, by a method made for the amount to
     * take in a round, such as {@code amount -> new LnStructured(amount, 2, 0)}; where a method
     * takes whole channels, the sparsity is reached up to the size of one.
     */
    public IterativePruner perLayer(Function<Amount, ? extends PruningMethod> way) {
        return with(s -> {
            s.method = Needed.of(way, "the pruning method");
            s.global = false;
        });
    }

    /**
     * Fine-tunes after each pruning with a trainer of this very model.
     *
     * @param epochs how often to go through the dataset in each round
     */
    public IterativePruner fineTune(Trainer trainer, Dataset dataset, int epochs) {
        return with(s ->
                s.fineTuning =
                        FineTuning.by(
                                Needed.of(trainer, "the trainer"),
                                Needed.of(dataset, "the dataset"),
                                epochs));
    }

    /** Fine-tunes after each pruning by code of one's own. */
    public IterativePruner fineTune(Consumer<? super Module> training) {
        return with(s -> s.fineTuning = FineTuning.by(Needed.of(training, "what trains")));
    }

    /**
     * Ends with the last round whose metric is at most {@code drop} below that of the model as it
     * was given.
     *
     * @param drop 0 or more, in the metric's own unit
     * @param metric says how good a model is; more is better
     */
    public IterativePruner keepWithin(double drop, Evaluator metric) {
        if (!(drop >= 0)) {
            throw new EspalierException(
                    "A budget is a drop of 0 or more in the metric; asked for " + drop + ".");
        }
        return with(s -> {
            Needed.of(metric, "the metric");
            s.budget = drop;
            s.evaluator = metric;
        });
    }

    /** Measures each round without a budget; more is better. */
    public IterativePruner evaluate(Evaluator metric) {
        return keepWithin(Double.POSITIVE_INFINITY, metric);
    }

    /** Fine-tunes a round that is over budget up to {@code times} times more before giving up. */
    public IterativePruner retries(int times) {
        if (times < 0) {
            throw new EspalierException(
                    "A round is tried again 0 or more times; asked for " + times + ".");
        }
        return with(s -> s.retries = times);
    }

    /** Tells {@code listener} of each completed round, on the thread that runs. */
    public IterativePruner listen(Consumer<? super PruningResult.Round> listener) {
        return with(s -> s.listeners.add(Needed.of(listener, "the listener")));
    }

    /**
     * Ends a run in progress, the round under way not counted; may be called from any thread. It
     * takes effect after fine-tuning, so stop the trainer as well to end at once; interrupting the
     * thread does both.
     */
    public void stop() {
        stopped = true;
    }

    boolean mustStop() {
        return stopped || Thread.currentThread().isInterrupted();
    }

    /**
     * Runs, or goes on where an earlier run in this directory was stopped.
     *
     * @param checkpoints a directory, made if it is not there
     * @throws EspalierException if there is nothing to prune, the directory can't be written or
     *     holds a run with other settings, or pruning fails; exceptions of the fine-tuning, the
     *     evaluator or a listener come through
     */
    public PruningResult run(Path checkpoints) {
        stopped = false;
        return new PruningRun(
                        this,
                        settings.copy(),
                        new PruningCheckpoint(Needed.of(checkpoints, "the folder of checkpoints")))
                .run();
    }
}
