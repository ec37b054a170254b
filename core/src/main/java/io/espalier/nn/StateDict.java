package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.Collectors;

/** Takes the state out of a model and puts one in: first everything is checked, then copied. */
final class StateDict {
    /** So many entries of one kind an error names. */
    private static final int NAMED = 5;

    private final Module model;
    private final Map<String, Tensor> state;
    private final List<Runnable> steps = new ArrayList<>();
    private final List<String> missing = new ArrayList<>();
    private final List<String> misfit = new ArrayList<>();
    private final Set<String> unused;

    private StateDict(Module model, Map<String, Tensor> state) {
        this.model = model;
        this.state = state;
        this.unused = new LinkedHashSet<>(state.keySet());
    }

    static SequencedMap<String, Tensor> of(Module model) {
        SequencedMap<String, Tensor> state = new LinkedHashMap<>();
        model.namedModules()
                .forEach((path, module) -> {
                    module.ownParameters()
                            .forEach((name, t) ->
                                    state.put(ModuleTree.join(path, name), t.detach()));
                    module.ownBuffers()
                            .forEach((name, t) ->
                                    state.put(ModuleTree.join(path, name), t.detach()));
                });
        return state;
    }

    /** {@code what} is what an error calls the state. */
    static void load(Module model, Map<String, Tensor> state, String what) {
        var load = new StateDict(model, state);
        model.namedModules().forEach(load::plan);
        load.requireNoProblems(what);
        try (var guard = new NoGradGuard()) {
            load.steps.forEach(Runnable::run);
        }
        model.namedModules().values().forEach(Module::stateLoaded);
    }

    private void plan(String path, Module module) {
        module.ownParameters()
                .forEach((name, parameter) -> {
                    var mask = new Mask(name);
                    Tensor values = maskFor(path, mask);
                    if (values != null) {
                        planMask(path, module, mask, parameter, values);
                    } else {
                        planCopy(ModuleTree.join(path, name), parameter);
                    }
                });
        module.ownBuffers()
                .forEach((name, buffer) -> {
                    String key = ModuleTree.join(path, name);
                    Tensor value = state.get(key);
                    if (value != null && module.isResizable(name) && sameType(value, buffer)) {
                        unused.remove(key);
                        steps.add(() -> module.setBuffer(name, value.detach().clone()));
                    } else {
                        planCopy(key, buffer);
                    }
                });
    }

    /** The mask that the state brings for a plain parameter, if it does. */
    private @Nullable Tensor maskFor(String path, Mask mask) {
        return !state.containsKey(ModuleTree.join(path, mask.name()))
                        && state.containsKey(ModuleTree.join(path, mask.storedName()))
                ? state.get(ModuleTree.join(path, mask.bufferName()))
                : null;
    }

    private void planMask(String path, Module module, Mask mask, Tensor parameter, Tensor values) {
        planCopy(ModuleTree.join(path, mask.storedName()), parameter);
        String key = ModuleTree.join(path, mask.bufferName());
        unused.remove(key);
        if (!Arrays.equals(Tensors.shape(values), Tensors.shape(parameter))) {
            misfit.add(describe(key, values) + " for a parameter of " + describe(parameter));
        }
        steps.add(() -> {
            if (module.hasBuffer(mask.bufferName())) {
                return; // the module stands at two places of the model
            }
            module.storeAs(mask.name(), mask.storedName());
            module.addBuffer(mask.bufferName(), values.detach().clone());
            module.parametrize(mask.name(), mask);
        });
    }

    private void planCopy(String key, Tensor target) {
        Tensor value = state.get(key);
        if (value == null) {
            missing.add(key);
            return;
        }
        unused.remove(key);
        if (!sameType(value, target)
                || !Arrays.equals(Tensors.shape(value), Tensors.shape(target))) {
            misfit.add(describe(key, value) + " for " + describe(target));
            return;
        }
        steps.add(() -> target.copy_(value));
    }

    private static boolean sameType(Tensor a, Tensor b) {
        return Tensors.type(a) == Tensors.type(b);
    }

    private static String describe(String key, Tensor value) {
        return key + " is " + describe(value);
    }

    private static String describe(Tensor value) {
        return Tensors.type(value) + " " + Arrays.toString(Tensors.shape(value));
    }

    private void requireNoProblems(String what) {
        List<String> problems = new ArrayList<>();
        list(problems, "missing", missing);
        list(problems, "not in the model", unused);
        list(problems, "of another shape or type", misfit);
        if (!problems.isEmpty()) {
            throw new EspalierException(
                    what
                            + " does not fit "
                            + model.typeName()
                            + ", which is left as it was: "
                            + String.join("; ", problems)
                            + ".");
        }
    }

    private static void list(List<String> problems, String kind, Collection<String> names) {
        if (!names.isEmpty()) {
            int more = names.size() - NAMED;
            problems.add(
                    names.stream()
                            .limit(NAMED)
                            .collect(
                                    Collectors.joining(
                                            ", ",
                                            kind + ": ",
                                            more > 0 ? " and " + more + " more" : "")));
        }
    }
}
