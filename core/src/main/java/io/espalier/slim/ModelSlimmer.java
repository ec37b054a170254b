package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.slim.SlimResult.Cost;
import io.espalier.slim.SlimResult.Row;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.OptimizerMoments;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/** A Java model, what can go of it, and how it goes. */
final class ModelSlimmer {
    private final Module model;
    private final List<Tensor> example;
    private final ModelAnalysis analysis;
    private final Groups groups;
    private final ModelNames names;
    private final ModelForm form;
    private @Nullable List<ModelBlocks.Found> blocks;

    /** What was taken out of the model, and how it is put back. */
    record Removed(ModelRemoval channels, LeftOutModules.Out blocks) {
        void undo() {
            blocks.close();
            channels.undo();
        }
    }

    private ModelSlimmer(Module model, List<Tensor> example) {
        this.model = model;
        this.example = example;
        ModelAnalysis first = ModelAnalysis.of(model, TracedModel.of(model, example), Set.of());
        analysis = SlimmedModelCheck.settled(first, example);
        groups = analysis.groups();
        names = new ModelNames(analysis);
        form = ModelForm.of(model);
    }

    /**
     * A slimmer of a model.
     *
     * @throws EspalierException if it can't be traced
     */
    static ModelSlimmer of(Module model, List<Tensor> example) {
        List<Tensor> kept = example.stream().map(Tensors::keep).toList();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            return new ModelSlimmer(model, kept);
        }
    }

    Module model() {
        return model;
    }

    ModelAnalysis analysis() {
        return analysis;
    }

    Groups groups() {
        return groups;
    }

    /** What names of layers and tensors stand for. */
    ModelNames names() {
        return names;
    }

    /** The residual blocks, and why some can't be left out: each is, for a moment. */
    List<ModelBlocks.Found> blocks() {
        if (blocks == null) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                blocks =
                        ModelBlocks.of(analysis, example).stream()
                                .map(found -> found.checked(this::hindrance))
                                .toList();
            }
        }
        return blocks;
    }

    private Optional<String> hindrance(ModelBlock block) {
        if (groups.all().stream().noneMatch(block::contains)) {
            return Optional.of("no channels lie within it alone");
        }
        var alone = LeftOutModules.ofNothing(analysis, block);
        Cut nothing = groups.nothing();
        try (var out = alone.leaveOut(alone.without(0), nothing)) {
            return new SlimmedModelCheck(analysis, groups, example)
                    .difference(nothing, out)
                    .map("without it %s"::formatted);
        }
    }

    /**
     * Refuses a model that is no longer what was looked into.
     *
     * @throws EspalierException if so
     */
    void requireUnchanged() {
        if (!form.equals(ModelForm.of(model))) {
            throw changed(null);
        }
        var now = new ModelTensors(model);
        analysis.constants()
                .forEach((name, axes) -> {
                    Tensor tensor = analysis.tensors().held(name).tensor();
                    if (!now.all().containsKey(name)
                            || now.held(name).tensor().unsafeGetTensorImpl().address()
                                    != tensor.unsafeGetTensorImpl().address()
                            || !Arrays.equals(Tensors.shape(tensor), analysis.looked(name))) {
                        throw new EspalierException(
                                "'%s' has changed since the model was looked into; call Slimming.of again."
                                        .formatted(name));
                    }
                });
        example.forEach(Tensors::requireLive);
        TracedModel traced;
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            traced = TracedModel.of(model, example);
        } catch (RuntimeException e) { // whatever a model's own code throws
            throw changed(e);
        }
        if (!analysis.traced().isSameAs(traced)) {
            throw changed(null);
        }
    }

    private static EspalierException changed(@Nullable RuntimeException cause) {
        return new EspalierException(
                "The model has changed since Slimming.of; call it again.", cause);
    }

    /**
     * Takes units and blocks out, all or none; more of each value stays than nothing.
     *
     * @param blocks that are left out at the widths behind those of the groups
     * @param by how each group that was chosen from was chosen from
     * @param optimizers what they remember of parameters follows
     */
    SlimResult remove(
            List<Unit> units,
            LeftOutModules blocks,
            int[] widths,
            Map<Group, String> by,
            List<Optimizer> optimizers) {
        List<Unit> gone = leavingSome(units);
        Cost before = cost();
        List<OptimizerMoments> moments = optimizers.stream().map(OptimizerMoments::new).toList();
        Removed removed = removed(gone, blocks, widths);
        Cost after;
        try {
            moments.forEach(remembered -> remembered.change(removed.channels()::left));
            after = TracedModel.of(model, example).cost(example);
            requireWatching();
        } catch (RuntimeException e) {
            removed.undo();
            moments.forEach(OptimizerMoments::restore);
            throw e;
        }
        List<Tensor> forgotten = removed.blocks().parameters();
        moments.forEach(remembered -> remembered.forget(forgotten));
        Set<Unit> all = new HashSet<>(gone);
        List<Row> rows = new ArrayList<>();
        for (Group group : groups.all()) {
            long left =
                    blocks.isOut(group, widths)
                            ? 0
                            : group.units().stream().filter(unit -> !all.contains(unit)).count();
            rows.add(
                    new Row(
                            group,
                            (int) left,
                            by.getOrDefault(group, "not chosen"),
                            Optional.empty()));
        }
        return new SlimResult(model, rows, "units", groups, before, after);
    }

    /** Refuses a model whose hooks go by the channels that it had. */
    private void requireWatching() {
        boolean watched;
        try (var unwatched = new Unwatched(model)) {
            watched = unwatched.isWatched();
        }
        if (!watched) {
            return;
        }
        try (var scope = new PointerScope();
                var trial = new Trial(model)) {
            model.callAll(example);
        } catch (RuntimeException e) { // whatever an observer throws
            throw new EspalierException(
                    "Nothing was removed from %s, since what observes it goes by channels: %s"
                            .formatted(model.getClass().getSimpleName(), e.getMessage()),
                    e);
        }
    }

    /** Takes units out and looks whether the model does what it should. */
    Removed removed(List<Unit> gone) {
        return removed(gone, LeftOutModules.none(analysis, List.of()), new int[0]);
    }

    /** The same with blocks that are left out at widths behind those of the groups. */
    Removed removed(List<Unit> gone, LeftOutModules blocks, int[] widths) {
        Cut cut = groups.choose(gone);
        var removed = new Removed(ModelRemoval.apply(analysis, cut), blocks.leaveOut(widths, cut));
        Optional<String> difference;
        try {
            difference =
                    new SlimmedModelCheck(analysis, groups, example)
                            .difference(cut, removed.blocks());
        } catch (RuntimeException e) {
            removed.undo();
            throw e;
        }
        if (difference.isPresent()) {
            removed.undo();
            throw new EspalierException(
                    "Nothing was removed from %s, since without the channels %s."
                            .formatted(model.getClass().getSimpleName(), difference.get()));
        }
        return removed;
    }

    /** What the model is called with. */
    List<Tensor> example() {
        return example;
    }

    /**
     * What is measured of the model while groups, and the blocks behind them, have these widths;
     * then it is as it was.
     */
    <T> T narrowed(List<Group> chosen, LeftOutModules blocks, int[] widths, Supplier<T> measured) {
        int[] ofGroups = Arrays.copyOf(widths, chosen.size());
        List<Unit> gone = leavingSome(UnitWidths.last(chosen, ofGroups));
        Removed removed = removed(gone, blocks, widths);
        try {
            return measured.get();
        } finally {
            removed.undo();
        }
    }

    /** As many of these units as leave something of each value. */
    List<Unit> leavingSome(List<Unit> units) {
        return ModelRemoval.leavingSome(analysis, groups, units);
    }

    /** What the model costs as it was looked into. */
    Cost cost() {
        return analysis.traced().cost(example);
    }
}
