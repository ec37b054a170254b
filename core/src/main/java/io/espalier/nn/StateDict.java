package io.espalier.nn;

import io.espalier.state.TensorSource;
import io.espalier.state.TensorSource.Kind;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;

/**
 * Takes the state out of a model and puts one in: names, types and shapes are compared first, then
 * the data are verified, and only then copied.
 */
final class StateDict {
    private static final Set<ScalarType> WIDE = Set.of(ScalarType.Float, ScalarType.Double);
    private static final Set<ScalarType> FLOATS =
            Set.of(ScalarType.Half, ScalarType.BFloat16, ScalarType.Float, ScalarType.Double);

    private final TensorSource source;
    private final LoadOptions options;

    /** The state's tensors by the names that they have in the model. */
    private final Map<String, Kind> state = new LinkedHashMap<>();

    private final List<Runnable> steps = new ArrayList<>();
    private final Set<String> needed = new LinkedHashSet<>();
    private final Set<String> unused = new LinkedHashSet<>();
    private final List<String> missing = new ArrayList<>();
    private final List<String> misfit = new ArrayList<>();
    private final IdentityHashMap<Tensor, String> placed = new IdentityHashMap<>();
    private boolean typesDiffer;

    private StateDict(TensorSource source, LoadOptions options) {
        this.source = source;
        this.options = options;
        source.kinds()
                .forEach((name, kind) -> {
                    unused.add(name);
                    if (name.startsWith(options.prefix())) {
                        state.put(name.substring(options.prefix().length()), kind);
                    }
                });
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
    static LoadReport load(Module model, TensorSource source, LoadOptions options, String what) {
        var load = new StateDict(source, options);
        model.namedModules().forEach(load::plan);
        load.forgiveTied(model);
        load.requireNoProblems(model, what);
        source.verify(load.needed);
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            load.steps.forEach(Runnable::run);
        }
        model.namedModules().values().forEach(Module::stateLoaded);
        return new LoadReport(load.missing, List.copyOf(load.unused));
    }

    private void plan(String path, Module module) {
        module.ownParameters()
                .forEach((name, parameter) -> {
                    var mask = new Mask(name);
                    if (bringsMask(path, mask)) {
                        planMask(path, module, mask, parameter);
                    } else {
                        planCopy(ModuleTree.join(path, name), parameter);
                    }
                    planCodes(path, module, name, parameter);
                });
        module.ownBuffers()
                .forEach((name, buffer) -> {
                    String key = ModuleTree.join(path, name);
                    Kind kind = state.get(key);
                    if (kind != null && isMask(module, name)) {
                        steps.addFirst(() -> requireMask(key));
                    }
                    if (kind != null
                            && module.isResizable(name)
                            && kind.type() == Tensors.type(buffer)) {
                        use(key);
                        steps.add(() -> module.setBuffer(name, copyOf(key)));
                    } else if (kind != null || !mayLack(path, module, name)) {
                        planCopy(key, buffer);
                    }
                });
    }

    /** Whether a state of before may lack a buffer, as long as it has those beside it. */
    private boolean mayLack(String path, Module module, String buffer) {
        return module.isNewer(buffer)
                && module.ownBuffers().keySet().stream()
                        .filter(name -> !module.isNewer(name))
                        .allMatch(name -> state.containsKey(ModuleTree.join(path, name)));
    }

    /** Whether the state brings a mask for a plain parameter. */
    private boolean bringsMask(String path, Mask mask) {
        return !state.containsKey(ModuleTree.join(path, mask.name()))
                && state.containsKey(ModuleTree.join(path, mask.storedName()))
                && state.containsKey(ModuleTree.join(path, mask.bufferName()));
    }

    private static boolean isMask(Module module, String buffer) {
        return module.parametrizedNames().stream()
                .anyMatch(name -> new Mask(name).bufferName().equals(buffer));
    }

    private void requireMask(String key) {
        try (var scope = new PointerScope()) {
            if (!Mask.isMask(source.tensor(inSource(key)))) {
                throw new EspalierException(
                        "The mask '"
                                + key
                                + "' holds something else than 0 and 1, which is no mask; the model"
                                + " is left as it was.");
            }
        }
    }

    private void planMask(String path, Module module, Mask mask, Tensor parameter) {
        planCopy(ModuleTree.join(path, mask.storedName()), parameter);
        String key = ModuleTree.join(path, mask.bufferName());
        Kind kind = state.get(key);
        use(key);
        Kind wanted = Kind.of(parameter);
        if (kind == null || !kind.shape().equals(wanted.shape())) {
            misfit.add(key + " is " + kind + " for a parameter of " + wanted);
            return;
        }
        steps.addFirst(() -> requireMask(key));
        steps.add(() -> {
            if (module.hasBuffer(mask.bufferName())) {
                return; // the module stands at two places of the model
            }
            module.storeAs(mask.name(), mask.storedName());
            module.addBuffer(mask.bufferName(), copyOf(key));
            module.parametrize(mask.name(), mask);
        });
    }

    /** Where the state brings numbers of shared values for a parameter, it shares from then on. */
    private void planCodes(String path, Module module, String stored, Tensor parameter) {
        String name =
                module.parametrizedNames().stream()
                        .filter(each -> module.storedName(each).equals(stored))
                        .findFirst()
                        .orElse(stored);
        var sharing = new SharedWeights(name);
        String key = ModuleTree.join(path, sharing.bufferName());
        Kind kind = state.get(key);
        if (kind == null || module.hasBuffer(sharing.bufferName())) {
            return;
        }
        use(key);
        if (!kind.equals(new Kind(ScalarType.Byte, Kind.of(parameter).shape()))) {
            misfit.add(key + " is " + kind + " for a parameter of " + Kind.of(parameter));
            return;
        }
        steps.add(() -> {
            if (!module.hasBuffer(sharing.bufferName())) {
                module.addBuffer(sharing.bufferName(), copyOf(key));
                module.parametrize(name, sharing);
            }
        });
    }

    private void planCopy(String key, Tensor target) {
        Kind kind = state.get(key);
        if (kind == null) {
            missing.add(key);
            return;
        }
        use(key);
        Kind wanted = Kind.of(target);
        boolean sameType = kind.type() == wanted.type();
        boolean convertible = FLOATS.contains(kind.type()) && WIDE.contains(wanted.type());
        if (!kind.shape().equals(wanted.shape())
                || !(sameType || (options.convertTypes() && convertible))) {
            misfit.add(key + " is " + kind + " for " + wanted);
            typesDiffer |= !sameType && convertible;
            return;
        }
        String other = placed.putIfAbsent(target, key);
        if (other == null) {
            steps.add(() -> source.copyTo(inSource(key), target));
        } else {
            steps.addFirst(() -> requireSame(other, key));
        }
    }

    /** One tensor of the model that has two names can take one value only. */
    private void requireSame(String name, String other) {
        try (var scope = new PointerScope()) {
            if (!Tensors.equal(source.tensor(inSource(name)), source.tensor(inSource(other)))) {
                throw new EspalierException(
                        "The state has different values for '"
                                + name
                                + "' and '"
                                + other
                                + "', which are one tensor in the model, which is left as it was.");
            }
        }
    }

    /** What was left out because the same tensor is there under another name is not missing. */
    private void forgiveTied(Module model) {
        SequencedMap<String, Tensor> all = new LinkedHashMap<>();
        model.namedModules()
                .forEach((path, module) ->
                        module.ownParameters()
                                .forEach((name, t) -> all.put(ModuleTree.join(path, name), t)));
        model.namedModules()
                .forEach((path, module) ->
                        module.ownBuffers()
                                .forEach((name, t) -> all.put(ModuleTree.join(path, name), t)));
        missing.removeIf(name -> placed.containsKey(all.get(name)));
    }

    private Tensor copyOf(String key) {
        return source.tensor(inSource(key)).detach().clone();
    }

    private String inSource(String key) {
        return options.prefix() + key;
    }

    private void use(String key) {
        unused.remove(inSource(key));
        needed.add(inSource(key));
    }

    private void requireNoProblems(Module model, String what) {
        var problems = new StateProblems();
        if (options.strict()) {
            problems.add("missing", missing);
            problems.add("not in the model", unused);
        }
        problems.add("of another shape or type", misfit);
        problems.require(
                what,
                model,
                typesDiffer ? "; o -> o.convertTypes(true) converts floating-point numbers" : "",
                commonPrefix());
    }

    /** What all names of a state begin with that has none of the model's. */
    private String commonPrefix() {
        boolean nothingFits = needed.isEmpty() && !unused.isEmpty() && options.prefix().isEmpty();
        String first = nothingFits ? unused.iterator().next() : "";
        String prefix = first.substring(0, first.indexOf('.') + 1);
        boolean common =
                !prefix.isEmpty()
                        && unused.stream().allMatch(name -> name.startsWith(prefix))
                        && missing.stream().anyMatch(name -> unused.contains(prefix + name));
        return common ? "; o -> o.prefix(\"" + prefix + "\") takes it off the names" : "";
    }
}
