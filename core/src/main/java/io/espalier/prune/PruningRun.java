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
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** One run of an {@link IterativePruner}: where it stands, and the loop of its rounds. */
final class PruningRun {
    private final IterativePruner pruner;
    private final PruningCheckpoint checkpoint;
    private final Module model;
    private final String settings;
    private final List<Round> rounds = new ArrayList<>();
    private double before;
    private ModelState best;

    PruningRun(IterativePruner pruner, PruningCheckpoint checkpoint) {
        this.pruner = pruner;
        this.checkpoint = checkpoint;
        this.model = pruner.model;
        if (pruner.targets.isEmpty()) {
            throw new EspalierException(
                    model.getClass().getSimpleName()
                            + " has no parameter of 2 or more dimensions to prune; name targets.");
        }
        pruner.targets.forEach(Site::of);
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
                save();
            }
            End end = lastEnd().orElseGet(this::runRounds);
            best.restore(model);
            return new PruningResult(
                    model, Counts.of(pruner.targets).sparsity(), before, after(), rounds, end);
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
        return rounds.size() == pruner.schedule.steps()
                ? Optional.of(End.TARGET_REACHED)
                : Optional.empty();
    }

    private End runRounds() {
        while (rounds.size() < pruner.schedule.steps()) {
            if (pruner.mustStop()) {
                return End.STOPPED;
            }
            int number = rounds.size() + 1;
            prune(pruner.schedule.at(number));
            double metric = Double.NaN;
            boolean kept = false;
            for (int attempt = 0; attempt <= pruner.retries && !kept; attempt++) {
                if (!fineTune()) {
                    return End.STOPPED;
                }
                metric = evaluate();
                kept = Double.isNaN(before) || metric >= before - pruner.budget;
            }
            complete(new Round(number, Counts.of(pruner.targets).sparsity(), metric, kept));
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
        pruner.listeners.forEach(listener -> listener.accept(round));
    }

    private void save() {
        checkpoint.save(best.tensors(), settings, new Progress(before, rounds));
    }

    /** Fine-tunes; whether to go on. */
    private boolean fineTune() {
        boolean completed = pruner.fineTuning == null || pruner.fineTuning.test(model);
        return completed && !pruner.mustStop();
    }

    private double evaluate() {
        return pruner.evaluator == null ? Double.NaN : pruner.evaluator.evaluate(model);
    }

    private double after() {
        return rounds.reversed().stream()
                .filter(Round::kept)
                .mapToDouble(Round::metric)
                .findFirst()
                .orElse(before);
    }

    private void prune(double sparsity) {
        if (pruner.global) {
            Amount amount = Counts.of(pruner.targets).amountTo(sparsity);
            // global() takes nothing else.
            var method = (PruningMethod.Unstructured) pruner.method.apply(amount);
            Prune.globalUnstructured(pruner.targets, method, importance());
            return;
        }
        Map<Target, Tensor> scores = importance();
        for (Target target : pruner.targets) {
            PruningMethod method =
                    pruner.method.apply(Counts.of(List.of(target)).amountTo(sparsity));
            @Nullable Tensor own = scores.get(target);
            if (own == null) {
                Prune.apply(target.module(), target.name(), method);
            } else {
                Prune.apply(target.module(), target.name(), method, own);
            }
        }
    }

    private Map<Target, Tensor> importance() {
        return pruner.importance == null
                ? Map.of()
                : Objects.requireNonNull(pruner.importance).scores(pruner.targets);
    }

    /** What a run must have in common with the one that it continues. */
    private String settings() {
        String sparsities =
                IntStream.rangeClosed(0, pruner.schedule.steps())
                        .mapToObj(step -> Double.toString(pruner.schedule.at(step)))
                        .collect(Collectors.joining(" "));
        Map<Module, String> paths = new LinkedHashMap<>();
        model.namedModules().forEach((path, module) -> paths.putIfAbsent(module, path));
        String names =
                pruner.targets.stream()
                        .map(t -> paths.get(t.module().current()) + "." + t.name())
                        .collect(Collectors.joining(" "));
        return "sparsity " + sparsities + "; budget " + pruner.budget + "; of " + names;
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
