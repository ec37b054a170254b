package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * The place of one module among the others: its children by name, dotted paths down from it, and
 * what stands in its own place once it was replaced.
 */
abstract sealed class ModuleTree extends ParameterHolder permits StateHolder {
    /** Deeper than any network, and what every walk over a tree has stack for. */
    private static final int DEEPEST = 256;

    private SequencedMap<String, Module> children = new LinkedHashMap<>();
    private int depth;
    private @Nullable Module standIn;

    /**
     * Adds a child under a name and returns it, for use in a field's initializer.
     *
     * @throws EspalierException if the name is taken, empty or has a dot, the child contains this
     *     module, or modules would stand more than 256 deep in one another
     */
    public final <M extends Module> M add(String name, M child) {
        requireFree(name);
        if (child == null) {
            throw Needed.absent("the child '" + name + "' of " + typeName());
        }
        requireDepth(name, child);
        if (((ModuleTree) child).contains(this)) {
            throw new EspalierException(
                    "'" + name + "' can't be a child of a module that it contains.");
        }
        children.put(name, child);
        ((ModuleTree) child).standsBelow(depth);
        return child;
    }

    /**
     * Takes a child away that was added, such as an observer.
     *
     * @throws EspalierException if there is none of this name
     */
    public final void removeChild(String name) {
        module(name);
        children.remove(name);
    }

    private void requireDepth(String name, ModuleTree child) {
        int deepest = depth + child.height();
        if (deepest > DEEPEST) {
            throw new EspalierException(
                    "Modules stand at most "
                            + DEEPEST
                            + " deep in one another; with '"
                            + name
                            + "' these would stand "
                            + deepest
                            + " deep. Put them beside each other.");
        }
    }

    private int height() {
        return 1
                + children.values().stream()
                        .mapToInt(child -> ((ModuleTree) child).height())
                        .max()
                        .orElse(0);
    }

    private void standsBelow(int parent) {
        depth = Math.max(depth, parent + 1);
        children.values().forEach(child -> ((ModuleTree) child).standsBelow(depth));
    }

    @Override
    public final Module current() {
        ModuleTree module = this;
        while (module.standIn != null) {
            module = module.standIn;
        }
        return (Module) module;
    }

    /** What this module was last replaced by; null while it stands at its place itself. */
    final @Nullable Module standIn() {
        return standIn;
    }

    /**
     * The module at a dotted path, such as {@code "features.0"}; the empty path is this module.
     *
     * @throws EspalierException if there is none; the message lists the names at the place where
     *     the path fails
     */
    public final Module module(String path) {
        ModuleTree module = this;
        if (!Needed.of(path, "the path of a module").isEmpty()) {
            for (String name : path.split("\\.", -1)) {
                Module child = module.children.get(name);
                if (child == null) {
                    throw module.missing(
                            "module",
                            path.equals(name) ? name : name + "' of '" + path,
                            module.children.keySet());
                }
                module = child;
            }
        }
        return (Module) module;
    }

    /**
     * Puts another module at a path, and wherever else below this module the same one stands. The
     * module that stood there, called through the field that declared it, runs the new one from now
     * on; to go on using the old one inside the new, take its {@link Module#alias()}.
     *
     * @throws EspalierException if there is no module at the path, the path is empty, or the
     *     replacement contains what it replaces
     */
    public final void replace(String path, Module replacement) {
        Needed.of(replacement, "what comes in the place of '" + path + "'");
        if (Needed.of(path, "the path of a module").isEmpty()) {
            throw new EspalierException(
                    "A model can't replace itself; use the new module in its place.");
        }
        ModuleTree old = module(path);
        ModuleTree fresh = replacement;
        if (old.equals(fresh)) {
            return;
        }
        if (fresh.contains(old)) {
            throw new EspalierException(
                    "What replaces '"
                            + path
                            + "' can't contain it; let it hold the alias() of what it replaces.");
        }
        for (ModuleTree parent : List.copyOf(namedModules().values())) {
            parent.children.replaceAll((name, child) -> child.equals(old) ? replacement : child);
        }
        fresh.standIn = null; // it may have stood here before
        old.standIn = replacement;
    }

    private boolean contains(ModuleTree other) {
        return equals(other)
                || children.values().stream()
                        .anyMatch(child -> ((ModuleTree) child).contains(other));
    }

    /** This module and all below it by dotted path, parents first; this module's path is empty. */
    public final SequencedMap<String, Module> namedModules() {
        SequencedMap<String, Module> all = new LinkedHashMap<>();
        collectModules("", all);
        return all;
    }

    private void collectModules(String path, SequencedMap<String, Module> all) {
        all.put(path, (Module) this);
        children.forEach(
                (name, child) -> ((ModuleTree) child).collectModules(join(path, name), all));
    }

    /** The direct children by name. */
    public final SequencedMap<String, Module> namedChildren() {
        return Collections.unmodifiableSequencedMap(children);
    }

    /**
     * All stored parameters by dotted name; one that stands at two places is listed at the first.
     */
    public final SequencedMap<String, Tensor> namedParameters() {
        return distinct(walk(Module::ownParameters));
    }

    /** All buffers by dotted name. */
    public final SequencedMap<String, Tensor> namedBuffers() {
        return distinct(walk(Module::ownBuffers));
    }

    /** All stored parameters, each once: what an optimizer trains. */
    public final List<Tensor> parameters() {
        return List.copyOf(namedParameters().values());
    }

    private SequencedMap<String, Tensor> walk(Function<Module, Map<String, Tensor>> own) {
        SequencedMap<String, Tensor> all = new LinkedHashMap<>();
        namedModules()
                .forEach((path, module) ->
                        own.apply(module)
                                .forEach((name, tensor) -> all.put(join(path, name), tensor)));
        return all;
    }

    /** All stored parameters and buffers by dotted name, at each place where one stands. */
    private SequencedMap<String, Tensor> namedTensors() {
        SequencedMap<String, Tensor> all = walk(Module::ownParameters);
        all.putAll(walk(Module::ownBuffers));
        return all;
    }

    private static SequencedMap<String, Tensor> distinct(SequencedMap<String, Tensor> all) {
        var seen = Collections.newSetFromMap(new IdentityHashMap<Tensor, Boolean>());
        all.values().removeIf(tensor -> !seen.add(tensor));
        return all;
    }

    /**
     * A deep copy: modules, parameters, buffers, masks and hooks' registrations; nothing is shared
     * but the hooks.
     */
    @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"}) // the caller knows its class
    public final <M extends Module> M copy() {
        return (M) new ModuleCopier(ModuleTree::cloneTensor).copy((Module) this);
    }

    /**
     * A second module over the same tensors. It stands on its own when the original is {@link
     * #replace replaced}: what replaces a layer and still uses it holds its alias.
     */
    @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"}) // the caller knows its class
    public final <M extends Module> M alias() {
        return (M) over(UnaryOperator.identity());
    }

    /**
     * A module like this one that holds these tensors in place of its own. It has its class,
     * settings, mode, parametrizations and hooks; nothing is drawn, what is given is held as it is,
     * and only what is not given is copied.
     *
     * @param tensors by their names in {@link Module#stateDict}, each of the shape of what it
     *     replaces
     * @throws EspalierException if there is none of a name, or it has another shape
     */
    @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"}) // the caller knows its class
    public final <M extends Module> M withTensors(Map<String, Tensor> tensors) {
        var given = new IdentityHashMap<Tensor, Tensor>();
        SequencedMap<String, Tensor> own = namedTensors();
        Needed.of(tensors, "the tensors")
                .forEach((name, tensor) -> {
                    Tensor old = own.get(name);
                    if (old == null) {
                        throw missing("parameter or buffer", name, own.keySet());
                    }
                    Given.checked(typeName(), name, tensor, Tensors.shape(old));
                    given.put(old, Tensors.keep(tensor.set_requires_grad(old.requires_grad())));
                });
        return (M)
                over(tensor -> {
                    Tensor replacement = given.get(tensor);
                    return replacement == null ? cloneTensor(tensor) : replacement;
                });
    }

    /** A module like this one, in its own place, over what a function makes of its tensors. */
    final Module over(UnaryOperator<Tensor> tensors) {
        Module made = new ModuleCopier(tensors).copy((Module) this);
        ((ModuleTree) made).standIn = null;
        return made;
    }

    private static Tensor cloneTensor(Tensor tensor) {
        return Tensors.keep(tensor.detach().clone().set_requires_grad(tensor.requires_grad()));
    }

    @Override
    final boolean hasChild(String name) {
        return children.containsKey(name);
    }

    static String join(String path, String name) {
        return path.isEmpty() ? name : path + "." + name;
    }

    /** Gives this fresh clone a container of its own, which still holds the original's children. */
    final void ownChildren() {
        children = new LinkedHashMap<>(children);
    }

    /** Maps the modules that this fresh clone still shares with its original. */
    final void remapModules(UnaryOperator<Module> modules) {
        children.replaceAll((name, child) -> modules.apply(child));
        standIn = standIn == null ? null : modules.apply(standIn);
    }
}
