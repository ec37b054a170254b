package io.espalier.prune;

import io.espalier.nn.Module;
import io.espalier.prune.PruningCheckpoint.Progress;
import io.espalier.prune.PruningResult.End;
import io.espalier.prune.PruningResult.Round;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** One run of an {@link IterativePruner}: where it stands, and the loop of its rounds. */
final class PruningRun {
    private final IterativePruner pruner;
    private final PruningSettings wanted;
    private final PruningCheckpoint checkpoint;
    private final Module model;
    private final String settings;
    private final List<Round> rounds = new ArrayList<>();
    private final Set<String> warnings = new LinkedHashSet<>();
    private double before;
    private ModelState best;

    PruningRun(IterativePruner pruner, PruningSettings wanted, PruningCheckpoint checkpoint) {
        this.pruner = pruner;
        this.wanted = wanted;
        this.checkpoint = checkpoint;
        this.model = pruner.model;
        if (wanted.targets.isEmpty()) {
            throw new EspalierException(
                    model.getClass().getSimpleName()
                            + " has no parameter of 2 or more dimensions to prune; name targets.");
        }
        wanted.targets.forEach(Site::of);
        this.settings = settings();
        this.best = ModelState.of(model);
    }

    PruningResult run() {
        checkpoint.prepare();
        try {
            Optional<Progress> earlier = checkpoint.progress(settings);
            earlier.ifPresent(this::goOn);
            if (earlier.isEmpty()) {
                before = evaluate();
                requireMeasurable(before);
                save();
            }
            End end = lastEnd().orElseGet(this::runRounds);
            best.restore(model);
            return new PruningResult(
                    model,
                    Counts.of(wanted.targets).sparsity(),
                    before,
                    after(),
                    rounds,
                    end,
                    List.copyOf(warnings));
        } catch (RuntimeException | Error e) {
            best.restore(model);
            throw e;
        }
    }

    private void goOn(Progress progress) {
        checkpoint.load(model);
        best = ModelState.of(model);
        before = progress.before();
        rounds.addAll(progress.rounds());
    }

    /** Why the earlier run is not to go on, if so. */
    private Optional<End> lastEnd() {
        if (!rounds.isEmpty() && !rounds.getLast().kept()) {
            return Optional.of(End.BUDGET_EXCEEDED);
        }
        return rounds.size() == wanted.schedule.steps()
                ? Optional.of(End.TARGET_REACHED)
                : Optional.empty();
    }

    private End runRounds() {
        while (rounds.size() < wanted.schedule.steps()) {
            if (pruner.mustStop()) {
                return End.STOPPED;
            }
            int number = rounds.size() + 1;
            prune(wanted.schedule.at(number));
            double metric = Double.NaN;
            boolean kept = false;
            for (int attempt = 0; attempt <= wanted.retries && !kept; attempt++) {
                if (!fineTune()) {
                    return End.STOPPED;
                }
                metric = evaluate();
                kept = Double.isNaN(before) || metric >= before - wanted.budget;
            }
            complete(new Round(number, Counts.of(wanted.targets).sparsity(), metric, kept));
            if (!kept) {
                return End.BUDGET_EXCEEDED;
            }
        }
        return End.TARGET_REACHED;
    }

    private void complete(Round round) {
        rounds.add(round);
        if (round.kept()) {
            best = ModelState.of(model);
        }
        save();
        wanted.listeners.forEach(listener -> listener.accept(round));
    }

    private void save() {
        checkpoint.save(best.tensors(), settings, new Progress(before, rounds));
    }

    /**
     * Fine-tunes; whether to go on.
     *
     * @throws EspalierException if less is pruned afterwards than before
     */
    private boolean fineTune() {
        Counts pruned = Counts.of(wanted.targets);
        FineTuning.Outcome outcome = wanted.fineTuning.tune(model);
        warnings.addAll(outcome.warnings());
        Counts tuned = Counts.of(wanted.targets);
        if (tuned.kept() > pruned.kept()) {
            throw new EspalierException(
                    String.format(
                            Locale.ROOT,
                            "Fine-tuning took masks off: %.2f %% of the targets were pruned before"
                                    + " it, %.2f %% after; it must leave the masks on, and neither"
                                    + " load an older state nor resume a checkpoint.",
                            100 * pruned.sparsity(),
                            100 * tuned.sparsity()));
        }
        return outcome.completed() && !pruner.mustStop();
    }

    private void requireMeasurable(double metric) {
        if (Double.isNaN(metric) && Double.isFinite(wanted.budget) && wanted.evaluator != null) {
            throw new EspalierException(
                    "The metric is NaN before anything is pruned, so no round can be held against"
                            + " it; look at the evaluator and its data.");
        }
    }

    private double evaluate() {
        return wanted.evaluator == null ? Double.NaN : wanted.evaluator.evaluate(model);
    }

    private double after() {
        return rounds.reversed().stream()
                .filter(Round::kept)
                .mapToDouble(Round::metric)
                .findFirst()
                .orElse(before);
    }

    private void prune(double sparsity) {
        if (wanted.global) {
            Amount amount = Counts.of(wanted.targets).amountTo(sparsity);
            // global() takes nothing else.
            var method = (PruningMethod.Unstructured) wanted.method.apply(amount);
            Prune.globalUnstructured(wanted.targets, method, importance());
            return;
        }
        Map<Target, Tensor> scores = importance();
        for (Target target : wanted.targets) {
            PruningMethod method =
                    wanted.method.apply(Counts.of(List.of(target)).amountTo(sparsity));
            @Nullable Tensor own = scores.get(target);
            if (own == null) {
                Prune.apply(target.module(), target.name(), method);
            } else {
                Prune.apply(target.module(), target.name(), method, own);
            }
        }
    }

    private Map<Target, Tensor> importance() {
        return wanted.importance == null
                ? Map.of()
                : Objects.requireNonNull(wanted.importance).scores(wanted.targets);
    }

    /** What a run must have in common with the one that it continues. */
    private String settings() {
        String sparsities =
                IntStream.rangeClosed(0, wanted.schedule.steps())
                        .mapToObj(step -> Double.toString(wanted.schedule.at(step)))
                        .collect(Collectors.joining(" "));
        Map<Module, String> paths = new LinkedHashMap<>();
        model.namedModules().forEach((path, module) -> paths.putIfAbsent(module, path));
        String names =
                wanted.targets.stream()
                        .map(t -> paths.get(t.module().current()) + "." + t.name())
                        .collect(Collectors.joining(" "));
        return "sparsity " + sparsities + "; budget " + wanted.budget + "; of " + names;
    }

    /** How much of some parameters is pruned. */
    private record Counts(long size, long kept) {
        static Counts of(List<Target> targets) {
            long size = 0;
            long kept = 0;
            try (var scope = new PointerScope();
                    var guard = new NoGradGuard()) {
                for (Target target : targets) {
                    Site site = Site.of(target);
                    long all = site.stored().numel();
                    size += all;
                    kept += site.mask() == null ? all : site.mask().count_nonzero().item_long();
                }
            }
            return new Counts(size, kept);
        }

        double sparsity() {
            return (double) (size - kept) / size;
        }

        /** How much of what is kept to prune for a sparsity of all. */
        Amount amountTo(double sparsity) {
            long keep = Math.min(kept, Math.round((1 - sparsity) * size));
            return Amount.share(kept == 0 ? 0 : (double) (kept - keep) / kept);
        }
    }
}
