package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.nn.NamePattern;
import io.espalier.slim.SlimResult.Cost;
import io.espalier.slim.SlimResult.Row;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.EvalMode;
import io.espalier.train.OptimizerMoments;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A Java model, what can go of it, and how it goes. */
final class ModelSlimmer {
    private final Module model;
    private final List<Tensor> example;
    private final ModelAnalysis analysis;
    private final Groups groups;
    private final Set<Place> read;

    private ModelSlimmer(Module model, List<Tensor> example) {
        this.model = model;
        this.example = example;
        ModelAnalysis first = ModelAnalysis.of(model, TracedModel.of(model, example), Set.of());
        analysis = SlimmedModelCheck.settled(first, example);
        groups = analysis.groups();
        read =
                analysis.ends().stream()
                        .flatMap(end -> Stream.of(end.one(), end.other()))
                        .filter(Objects::nonNull)
                        .map(ModelEnd.Side::place)
                        .filter(Objects::nonNull)
                        .collect(Collectors.toSet());
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

    /** Whether a layer of such a name makes the channels of a group. */
    boolean isMadeBy(Group group, String pattern) {
        return isOf(
                group.units().getFirst().slices().keySet().stream()
                        .filter(place -> !read.contains(place)),
                pattern);
    }

    /** Whether a group takes something of a layer of such a name along. */
    boolean touches(Group group, String pattern) {
        return isOf(group.units().getFirst().slices().keySet().stream(), pattern);
    }

    private static boolean isOf(Stream<Place> places, String pattern) {
        NamePattern compiled = NamePattern.of(pattern);
        return places.map(Place::constant).anyMatch(name -> matches(compiled, name));
    }

    /** Whether a tensor, or a module around it, has such a name. */
    private static boolean matches(NamePattern pattern, String name) {
        String part = name;
        while (true) {
            if (pattern.matches(part)) {
                return true;
            }
            int dot = part.lastIndexOf('.');
            if (dot < 0) {
                return false;
            }
            part = part.substring(0, dot);
        }
    }

    /**
     * Refuses a name that nothing has.
     *
     * @throws EspalierException if so
     */
    void requireName(String pattern) {
        NamePattern compiled = NamePattern.of(pattern);
        if (analysis.tensors().all().keySet().stream().noneMatch(name -> matches(compiled, name))) {
            throw new EspalierException("No layer or tensor is named '%s'.".formatted(pattern));
        }
    }

    /**
     * Refuses a model that is no longer what was looked into.
     *
     * @throws EspalierException if so
     */
    void requireUnchanged() {
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
    }

    /**
     * Takes units out, all or none; more of each value stays than nothing.
     *
     * @param by how each group that was chosen from was chosen from
     * @param optimizers what they remember of parameters follows
     */
    SlimResult remove(List<Unit> units, Map<Group, String> by, List<Optimizer> optimizers) {
        List<Unit> gone = leavingSome(units);
        Cost before = cost();
        List<OptimizerMoments> moments = optimizers.stream().map(OptimizerMoments::new).toList();
        ModelRemoval removal = removed(gone);
        Cost after;
        try {
            moments.forEach(remembered -> remembered.change(removal::left));
            after = TracedModel.of(model, example).cost(example);
            requireWatching();
        } catch (RuntimeException e) {
            removal.undo();
            moments.forEach(OptimizerMoments::restore);
            throw e;
        }
        Set<Unit> all = new HashSet<>(gone);
        List<Row> rows = new ArrayList<>();
        for (Group group : groups.all()) {
            long left = group.units().stream().filter(unit -> !all.contains(unit)).count();
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
                var inference = new EvalMode(model)) {
            model.callAll(example);
        } catch (RuntimeException e) { // whatever an observer throws
            throw new EspalierException(
                    "Nothing was removed from %s, since what observes it goes by channels: %s"
                            .formatted(model.getClass().getSimpleName(), e.getMessage()),
                    e);
        }
    }

    /** Takes units out and looks whether the model does what it should. */
    ModelRemoval removed(List<Unit> gone) {
        Cut cut = groups.choose(gone);
        ModelRemoval removal = ModelRemoval.apply(analysis, cut);
        Optional<String> difference;
        try {
            difference = new SlimmedModelCheck(analysis, groups, example).difference(cut);
        } catch (RuntimeException e) {
            removal.undo();
            throw e;
        }
        if (difference.isPresent()) {
            removal.undo();
            throw new EspalierException(
                    "Nothing was removed from %s, since without the channels %s."
                            .formatted(model.getClass().getSimpleName(), difference.get()));
        }
        return removal;
    }

    /** What the model is called with. */
    List<Tensor> example() {
        return example;
    }

    /** What is measured of the model while groups have these widths; then it is as it was. */
    <T> T narrowed(List<Group> chosen, int[] widths, Supplier<T> measured) {
        ModelRemoval removal = removed(leavingSome(UnitWidths.last(chosen, widths)));
        try {
            return measured.get();
        } finally {
            removal.undo();
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
