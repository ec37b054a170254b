package io.espalier.slim;

import io.espalier.nn.LayerSizes;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * Takes channels out of a model's own tensors: each stays the tensor that it is, so that whatever
 * holds it, an optimizer or a field, goes on, and has other extents. It can be undone.
 */
final class ModelRemoval {
    private final List<Change> changes = new ArrayList<>();
    private final Map<Module, long[]> sizesBefore = new LinkedHashMap<>();
    private final Map<Long, UnaryOperator<Tensor>> left = new HashMap<>();

    /** A tensor and what it held before. */
    private record Change(Tensor tensor, Tensor before) {}

    private ModelRemoval() {}

    /**
     * A dimension of a value of which nothing would be left; empty if there is none.
     *
     * @param cut what is to go
     */
    static Optional<Axis> emptied(ModelAnalysis analysis, Cut cut) {
        for (ChannelValue value : all(analysis)) {
            for (int d = 0; d < value.rank(); d++) {
                Axis axis = value.axes().get(d);
                if (cut.cuts(axis) && cut.extent(axis, value.extents()[d]) == 0) {
                    return Optional.of(axis);
                }
            }
        }
        return Optional.empty();
    }

    private static Collection<ChannelValue> all(ModelAnalysis analysis) {
        List<ChannelValue> all = new ArrayList<>(analysis.values().values());
        analysis.constants().keySet().forEach(name -> all.add(analysis.constant(name)));
        return all;
    }

    /** As many of these units as leave something of each value. */
    static List<Unit> leavingSome(ModelAnalysis analysis, Groups groups, Collection<Unit> units) {
        List<Unit> some = new ArrayList<>(units);
        for (; ; ) {
            Optional<Axis> empty = emptied(analysis, groups.choose(some));
            if (empty.isEmpty()) {
                return some;
            }
            some.removeAll(groups.units(empty.get(), 0));
        }
    }

    /** Takes out what goes; returns how to put it back. */
    static ModelRemoval apply(ModelAnalysis analysis, Cut cut) {
        try (var noGrad = new NoGradGuard()) {
            var removal = new ModelRemoval();
            IdentityHashMap<Tensor, Tensor> left = new IdentityHashMap<>();
            analysis.constants()
                    .forEach((name, axes) -> {
                        if (axes.stream().anyMatch(cut::cuts)) {
                            ModelTensors.Held held = analysis.tensors().held(name);
                            left.put(held.tensor(), kept(held.tensor(), axes, cut));
                            removal.left.put(
                                    address(held.tensor()), alike -> kept(alike, axes, cut));
                            held.alike()
                                    .forEach(tensor -> left.put(tensor, kept(tensor, axes, cut)));
                        }
                    });
            left.forEach(removal::change);
            removal.resize(analysis, cut, left.keySet());
            return removal;
        }
    }

    private static long address(Tensor tensor) {
        return tensor.unsafeGetTensorImpl().address();
    }

    /**
     * What is left of something that had an element for each of a parameter's; itself if the
     * parameter has not changed.
     */
    Tensor left(Tensor parameter, Tensor alike) {
        UnaryOperator<Tensor> change = left.get(address(parameter));
        return change == null ? alike : change.apply(alike);
    }

    /** What is left of a tensor. */
    static Tensor kept(Tensor tensor, List<Axis> axes, Cut cut) {
        Tensor left = tensor.detach();
        for (int d = 0; d < axes.size(); d++) {
            Axis axis = axes.get(d);
            if (cut.cuts(axis)) {
                long[] indices =
                        Arrays.stream(cut.kept(axis, Math.toIntExact(tensor.size(d))))
                                .asLongStream()
                                .toArray();
                left = torch.index_select(left, d, Tensors.of(indices, indices.length));
            }
        }
        return left;
    }

    private void change(Tensor tensor, Tensor left) {
        changes.add(new Change(tensor, tensor.detach()));
        set(tensor, left);
    }

    private static void set(Tensor tensor, Tensor data) {
        // Another type lets go of where gradients of the old shape would be gathered.
        ScalarType type = Tensors.type(tensor);
        tensor.set_data(
                Tensors.empty(type == ScalarType.Float ? ScalarType.Double : ScalarType.Float));
        tensor.set_data(data);
        if (tensor.grad().defined()) {
            tensor.mutable_grad().reset();
        }
    }

    private void resize(ModelAnalysis analysis, Cut cut, Set<Tensor> changed) {
        Map<Module, Function<Cut, long[]>> known = new LinkedHashMap<>();
        analysis.sizes().forEach((path, after) -> known.put(analysis.model().module(path), after));
        Set<Module> all = Collections.newSetFromMap(new IdentityHashMap<>());
        all.addAll(analysis.model().namedModules().values());
        for (Module module : all) {
            long[] before = LayerSizes.of(module);
            boolean touched =
                    module.ownParameters().values().stream().anyMatch(changed::contains)
                            || module.ownBuffers().values().stream().anyMatch(changed::contains);
            Function<Cut, long[]> after = known.get(module);
            long[] now =
                    after != null
                            ? after.apply(cut)
                            : touched ? LayerSizes.ofTensors(module) : before;
            if (!Arrays.equals(before, now)) {
                sizesBefore.put(module, before);
                LayerSizes.set(module, now);
            }
        }
    }

    /** Puts everything back. */
    void undo() {
        try (var noGrad = new NoGradGuard()) {
            changes.forEach(change -> set(change.tensor(), change.before()));
            sizesBefore.forEach(LayerSizes::set);
        }
    }
}
