package io.espalier.prune;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.train.ModelSchedule;
import io.espalier.train.TrainingEvent;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/**
 * Prunes while training: the masks are decided every few steps, along a schedule of the steps, and,
 * unless it prunes {@link #gradual gradually}, anew: what was pruned may return until {@link
 * #freeze}.
 *
 * <pre>{@code
 * var pruning = DynamicPruning.magnitude(targets, Schedule.cubic(0, 0.98, 3000)).every(20);
 * Trainer.of(model, loss, optimizer).listen(pruning).train(data, 10);
 * pruning.freeze();                     // ordinary masks from here on
 * }</pre>
 *
 * <p>In a loop of one's own, {@link #update} is called after each step of the optimizer. Its state
 * is in the model's buffers, so copies and state dicts carry it; a saved state loads into a plain
 * model as an ordinary mask, or into one that is being pruned the same way, to go on. The step is
 * the caller's.
 */
public final class DynamicPruning implements ModelSchedule {
    private final List<Part> parts;
    private final Schedule schedule;
    private final Ranking ranking;
    private final int every;
    private final boolean perLayer;

    /** A parameter under a dynamic mask. */
    private record Part(Target target, Module module, DynamicMask mask) {
        Tensor stored() {
            return module.parameter(module.storedName(target.name()));
        }

        @Override
        public String toString() {
            return "'%s' of %s".formatted(target.name(), module.getClass().getSimpleName());
        }
    }

    /** Gives each part the scores by which its entries are ranked, 0 or more. */
    @FunctionalInterface
    private interface Ranking {
        List<Tensor> scores(List<Part> parts);
    }

    private DynamicPruning(List<Part> parts, Schedule schedule, Ranking ranking) {
        this(parts, schedule, ranking, 1, false);
    }

    private DynamicPruning(
            List<Part> parts, Schedule schedule, Ranking ranking, int every, boolean perLayer) {
        this.parts = parts;
        this.schedule = schedule;
        this.ranking = ranking;
        this.every = every;
        this.perLayer = perLayer;
    }

    /**
     * Prunes the weights of smallest magnitude. Those pruned still learn, as if they were not, and
     * return when they have grown (Guo et al., <a href="https://arxiv.org/abs/1608.04493">Dynamic
     * Network Surgery</a>, 2016).
     *
     * @param targets the parameters; one that is pruned already starts from its mask
     * @param schedule the share of all their entries that is pruned after each step
     * @throws EspalierException if there is no target, or one of them can't be pruned
     */
    public static DynamicPruning magnitude(List<Target> targets, Schedule schedule) {
        return new DynamicPruning(
                attach(targets, schedule, DynamicMask.StraightThrough::new),
                schedule,
                parts -> parts.stream().map(Part::stored).toList());
    }

    /**
     * Prunes the weights of smallest magnitude for good, a few at a time (automated gradual
     * pruning, <a href="https://arxiv.org/abs/1710.01878">Zhu and Gupta 2017</a>).
     *
     * @param targets the parameters; one that is pruned already goes on from its mask
     * @param schedule the share of all their entries that is pruned after each step
     * @throws EspalierException if there is no target, or one of them can't be pruned
     */
    public static DynamicPruning gradual(List<Target> targets, Schedule schedule) {
        return new DynamicPruning(
                attach(targets, schedule, DynamicMask.Shrinking::new),
                schedule,
                parts -> parts.stream().map(Part::stored).toList());
    }

    /**
     * The same as {@link #gradual(List, Schedule)} by other scores, such as {@link
     * Importance#gradient}; they are asked for whenever the masks are decided, of what the masks
     * leave.
     */
    public static DynamicPruning gradual(
            Importance importance, List<Target> targets, Schedule schedule) {
        Needed.of(importance, "the importance");
        return new DynamicPruning(
                attach(targets, schedule, DynamicMask.Shrinking::new),
                schedule,
                parts -> scores(importance, parts));
    }

    /**
     * The same as {@link #magnitude} by other scores, such as {@link Importance#lamp}; they are
     * asked for whenever the masks are decided, of the parameters as if they had no mask.
     */
    public static DynamicPruning by(
            Importance importance, List<Target> targets, Schedule schedule) {
        Needed.of(importance, "the importance");
        return new DynamicPruning(
                attach(targets, schedule, DynamicMask.StraightThrough::new),
                schedule,
                parts -> scores(importance, parts));
    }

    private static List<Tensor> scores(Importance importance, List<Part> parts) {
        Map<Target, Tensor> scores =
                Needed.of(
                        importance.scores(parts.stream().map(Part::target).toList()),
                        "what the importance gives");
        return parts.stream()
                .map(part ->
                        EntryScores.requireEach(scores.get(part.target()), part, part.stored()))
                .toList();
    }

    /**
     * Prunes the weights that training moves towards zero: each step adds −weight · gradient to a
     * weight's score, also while it is pruned, and the lowest scores are pruned. Pruned weights do
     * not learn themselves (Sanh et al., <a href="https://arxiv.org/abs/2005.07683">Movement
     * Pruning</a>, 2020). It suits fine-tuning, where magnitudes come from the earlier task.
     *
     * @param targets the parameters; one that is pruned already starts from its mask
     * @param schedule the share of all their entries that is pruned after each step
     * @throws EspalierException if there is no target, or one of them can't be pruned
     */
    public static DynamicPruning movement(List<Target> targets, Schedule schedule) {
        List<Part> parts = attach(targets, schedule, DynamicMask.Movement::new);
        return new DynamicPruning(parts, schedule, DynamicPruning::movementRanks);
    }

    /**
     * The same pruning that decides the masks only at steps that are multiples of {@code steps} and
     * at the schedule's last, instead of at each.
     */
    public DynamicPruning every(int steps) {
        if (steps < 1) {
            throw new EspalierException(
                    "Masks are decided every 1 or more steps; asked for every " + steps + ".");
        }
        return new DynamicPruning(parts, schedule, ranking, steps, perLayer);
    }

    /**
     * The same pruning of each parameter to the scheduled sparsity, instead of all of them taken
     * together.
     */
    public DynamicPruning perLayer() {
        return new DynamicPruning(parts, schedule, ranking, every, true);
    }

    /** Follows a {@link io.espalier.train.Trainer}: {@link #update} after each of its steps. */
    @Override
    public void accept(TrainingEvent event) {
        if (event instanceof TrainingEvent.Step made) {
            update(made.step());
        }
    }

    /** How far the schedule is from its end, if it is. */
    @Override
    public Optional<String> unfinished(long step) {
        return step >= schedule.steps()
                ? Optional.empty()
                : Optional.of(
                        String.format(
                                Locale.ROOT,
                                "The pruning schedule was to reach %.2f %% after %d steps and is at"
                                        + " %.2f %% after %d: train longer, or give it fewer"
                                        + " steps.",
                                100 * schedule.target(),
                                schedule.steps(),
                                100 * schedule.at((int) (step - step % every)),
                                step));
    }

    /**
     * Takes note of a step, and decides the masks where it is due; called after the optimizer's
     * step and before the gradients are zeroed.
     *
     * @param step how many steps have been made
     */
    public void update(long step) {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            for (Part part : parts) {
                requireAttached(part);
                if (part.mask() instanceof DynamicMask.Movement movement) {
                    movement.takeGradient(part.module());
                }
            }
            if (step % every == 0 || step == schedule.steps()) {
                decide(schedule.at((int) Math.min(step, Integer.MAX_VALUE)));
            }
        }
    }

    private void decide(double sparsity) {
        List<Tensor> scores = ranking.scores(parts);
        List<Selection.Entries> entries = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            Part part = parts.get(i);
            boolean shrinks = part.mask() instanceof DynamicMask.Shrinking;
            Tensor mask = shrinks ? part.mask().mask(part.module()) : null;
            entries.add(new Selection.Entries(scores.get(i), mask));
        }
        List<Tensor> masks = new ArrayList<>();
        if (perLayer) {
            entries.forEach(each -> masks.addAll(lowest(List.of(each), sparsity)));
        } else {
            masks.addAll(lowest(entries, sparsity));
        }
        for (int i = 0; i < parts.size(); i++) {
            Part part = parts.get(i);
            part.mask().mask(part.module()).copy_(masks.get(i).view_as(part.stored()));
        }
    }

    /** Masks that leave these entries as sparse as asked for, or as they are where that is more. */
    private static List<Tensor> lowest(List<Selection.Entries> entries, double sparsity) {
        long size = 0;
        long pruned = 0;
        for (Selection.Entries each : entries) {
            size += each.scores().numel();
            pruned +=
                    each.mask() == null
                            ? 0
                            : each.mask().numel() - each.mask().count_nonzero().item_long();
        }
        long wanted = Amount.share(sparsity).of(size);
        return Selection.lowest(entries, Amount.count(Math.max(0, wanted - pruned)));
    }

    /** Movement scores above the lowest of all, so that their order is that of their magnitude. */
    private static List<Tensor> movementRanks(List<Part> parts) {
        List<Tensor> scores = new ArrayList<>();
        double lowest = 0;
        for (Part part : parts) {
            Tensor own = ((DynamicMask.Movement) part.mask()).scores(part.module()).detach();
            scores.add(own);
            lowest = Math.min(lowest, own.min().item_double());
        }
        var shift = new Scalar(lowest);
        return scores.stream().map(own -> own.sub(shift)).toList();
    }

    /**
     * Ends it: what is pruned now stays pruned, by ordinary masks that the rest of this package,
     * and a saved state, know.
     *
     * @throws EspalierException if a mask was taken off meanwhile
     */
    public void freeze() {
        parts.forEach(DynamicPruning::requireAttached);
        for (Part part : parts) {
            detach(part.module(), part.mask());
            part.module().parametrize(part.mask().name(), new Mask(part.mask().name()));
        }
    }

    private static void detach(Module module, DynamicMask mask) {
        module.unparametrize(mask.name(), mask);
        if (mask instanceof DynamicMask.Movement movement) {
            module.removeBuffer(movement.scoresName());
        }
    }

    private static void requireAttached(Part part) {
        if (!part.module().parametrizations(part.target().name()).contains(part.mask())) {
            throw new EspalierException(
                    "'"
                            + part.target().name()
                            + "' of "
                            + part.module().getClass().getSimpleName()
                            + " is not being pruned any more (it was frozen, or replaced); begin"
                            + " anew.");
        }
    }

    private static List<Part> attach(
            List<Target> targets, Schedule schedule, Function<String, DynamicMask> kind) {
        Needed.of(schedule, "the schedule");
        if (Needed.all(targets, "the targets").isEmpty()) {
            throw new EspalierException(
                    "There are no parameters to prune; give at least one target.");
        }
        List<Part> parts = new ArrayList<>();
        Set<Target> seen = new HashSet<>();
        for (Target target : targets) {
            Module module = target.module().current();
            DynamicMask mask = kind.apply(target.name());
            if (!DynamicMask.on(module, target.name()).equals(Optional.of(mask))) {
                Site.of(target);
            }
            Target current = new Target(module, target.name());
            if (!seen.add(current)) {
                throw new EspalierException(
                        "'"
                                + target.name()
                                + "' of "
                                + module.getClass().getSimpleName()
                                + " is listed twice; list each target once.");
            }
            parts.add(new Part(current, module, mask));
        }
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            parts.forEach(DynamicPruning::putOn);
        }
        return List.copyOf(parts);
    }

    /** Puts the mask on, unless it is there: on a copy of a model that is being pruned. */
    private static void putOn(Part part) {
        Module module = part.module();
        String name = part.target().name();
        if (module.parametrizations(name).contains(part.mask())) {
            return;
        }
        Site site = Site.of(part.target());
        if (site.mask() == null) {
            site.commit(site.maskOrOnes());
        }
        module.unparametrize(name, new Mask(name));
        if (part.mask() instanceof DynamicMask.Movement movement) {
            module.addBuffer(movement.scoresName(), torch.zeros_like(site.stored()));
        }
        module.parametrize(name, part.mask());
    }
}
