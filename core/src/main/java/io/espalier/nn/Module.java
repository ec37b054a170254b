package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * A node of a network: named children, parameters and buffers, and a {@code forward} that says what
 * it computes.
 *
 * <pre>{@code
 * final class SimpleModel extends Module {
 *     final Linear fc = add("fc", new Linear(10, 10));
 *     @Override protected Tensor forward(Tensor x) { return fc.call(x); }
 * }
 * }</pre>
 *
 * <p>{@link #call} runs a module: it applies hooks and parametrizations, and where the module was
 * replaced in its parent (fused, quantized), it runs what stands there now, so the field that
 * declared it stays right.
 */
public abstract class Module implements Cloneable {
    private SequencedMap<String, Module> children = new LinkedHashMap<>();
    private SequencedMap<String, Tensor> parameters = new LinkedHashMap<>();
    private SequencedMap<String, Tensor> buffers = new LinkedHashMap<>();
    private Map<String, Parametrized> parametrized = new LinkedHashMap<>();
    private List<Hook> inputHooks = new CopyOnWriteArrayList<>();
    private List<Hook> outputHooks = new CopyOnWriteArrayList<>();
    private @Nullable Module standIn;
    private boolean training = true;
    private @Nullable Recipe recipe;
    private boolean recipeSet;

    /**
     * A parameter that passes through functions: where it is stored, and the functions in order.
     */
    private record Parametrized(String stored, List<Parametrization> chain) {}

    static {
        io.espalier.tensor.Libtorch.start();
    }

    // ---- running
    // -------------------------------------------------------------------------------------------------

    /** Runs the module on one tensor and returns its (first) output. */
    public final Tensor call(Tensor input) {
        return callAll(List.of(input)).getFirst();
    }

    /** Runs the module on several tensors and returns its first output. */
    public final Tensor call(Tensor... inputs) {
        return callAll(List.of(inputs)).getFirst();
    }

    /** Runs the module on several tensors and returns all its outputs. */
    public final List<Tensor> callAll(List<Tensor> inputs) {
        Module target = current();
        try {
            List<Tensor> seen = inputs;
            for (Hook hook : target.inputHooks) {
                seen = hook.apply(target, seen);
            }
            List<Tensor> outputs = target.forwardAll(seen);
            for (Hook hook : target.outputHooks) {
                outputs = hook.apply(target, outputs);
            }
            return outputs;
        } catch (RuntimeException e) {
            throw TensorException.in(target.describeCall(inputs), e);
        }
    }

    /**
     * What the module computes from one input.
     *
     * @throws EspalierException if the module computes nothing from a single tensor
     */
    protected Tensor forward(Tensor input) {
        throw new EspalierException(
                typeName()
                        + " has no forward for one tensor; override forward(Tensor), or "
                        + "forwardAll(List) for several inputs or outputs.");
    }

    /** What the module computes, for modules with several inputs or outputs. */
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        if (inputs.size() != 1) {
            throw new EspalierException(
                    typeName() + " takes 1 tensor; it was called with " + inputs.size() + ".");
        }
        return List.of(forward(inputs.getFirst()));
    }

    private String describeCall(List<Tensor> inputs) {
        String shapes =
                inputs.stream()
                        .map(t -> Arrays.toString(Tensors.shape(t)))
                        .collect(Collectors.joining(", "));
        return typeName() + "(" + extraRepr() + ") on shape " + shapes;
    }

    /** Calls {@code hook} with the inputs of every later call, before {@code forward}. */
    public final Hook.Registration onInput(Hook hook) {
        inputHooks.add(hook);
        return () -> inputHooks.remove(hook);
    }

    /** Calls {@code hook} with the outputs of every later call, after {@code forward}. */
    public final Hook.Registration onOutput(Hook hook) {
        outputHooks.add(hook);
        return () -> outputHooks.remove(hook);
    }

    // ---- children
    // ------------------------------------------------------------------------------------------------

    /** Adds a child under a name and returns it, for use in a field's initializer. */
    protected final <M extends Module> M add(String name, M child) {
        requireFree(name);
        children.put(name, child);
        return child;
    }

    /** The module that stands at this module's place now: itself unless it was replaced. */
    public final Module current() {
        Module module = this;
        while (module.standIn != null) {
            module = module.standIn;
        }
        return module;
    }

    /**
     * The module at a dotted path, such as {@code "features.0"}; the empty path is this module.
     *
     * @throws EspalierException if there is none; the message lists the names at the place where
     *     the path fails
     */
    public final Module module(String path) {
        Module module = this;
        if (!path.isEmpty()) {
            for (String name : path.split("\\.", -1)) {
                Module child = module.children.get(name);
                if (child == null) {
                    throw module.missing(
                            "module",
                            path.equals(name) ? name : name + "' (of '" + path,
                            module.children.keySet());
                }
                module = child;
            }
        }
        return module;
    }

    /**
     * Puts another module at a path. The module that stood there, called through the field that
     * declared it, runs the new one from now on; to go on using the old one inside the new, take
     * its {@link #alias()}.
     *
     * @throws EspalierException if there is no module at the path, or the path is empty
     */
    public final void replace(String path, Module replacement) {
        if (path.isEmpty()) {
            throw new EspalierException(
                    "A model can't replace itself; use the new module in its place.");
        }
        int dot = path.lastIndexOf('.');
        Module parent = module(path.substring(0, Math.max(dot, 0)));
        Module old = module(path);
        if (old.equals(replacement)) {
            return;
        }
        parent.children.replace(path.substring(dot + 1), replacement);
        old.standIn = replacement;
    }

    /** This module and all below it by dotted path, parents first; this module's path is empty. */
    public final SequencedMap<String, Module> namedModules() {
        SequencedMap<String, Module> all = new LinkedHashMap<>();
        collectModules("", all);
        return all;
    }

    private void collectModules(String path, SequencedMap<String, Module> all) {
        all.put(path, this);
        children.forEach((name, child) -> child.collectModules(join(path, name), all));
    }

    /** The direct children by name. */
    public final SequencedMap<String, Module> namedChildren() {
        return Collections.unmodifiableSequencedMap(children);
    }

    // ---- parameters and buffers
    // ----------------------------------------------------------------------------------

    /** Registers a trainable tensor under a name and returns it. */
    protected final Tensor addParameter(String name, Tensor value) {
        requireFree(name);
        parameters.put(name, Tensors.keep(value.set_requires_grad(true)));
        return value;
    }

    /** Registers a tensor that is saved with the module but not trained, and returns it. */
    public final Tensor addBuffer(String name, Tensor value) {
        requireFree(name);
        buffers.put(name, Tensors.keep(value));
        return value;
    }

    /**
     * Takes a buffer away.
     *
     * @throws EspalierException if there is none of this name
     */
    public final Tensor removeBuffer(String name) {
        Tensor removed = buffer(name);
        buffers.remove(name);
        return removed;
    }

    /** Puts another tensor in a buffer's place; its shape may differ. */
    public final void setBuffer(String name, Tensor value) {
        buffer(name);
        buffers.replace(name, Tensors.keep(value));
    }

    /**
     * The stored parameter, before any parametrization.
     *
     * @throws EspalierException if there is none of this name
     */
    public final Tensor parameter(String name) {
        Tensor found = parameters.get(name);
        if (found == null) {
            throw missing("parameter", name, parameters.keySet());
        }
        return found;
    }

    /**
     * The buffer of this name.
     *
     * @throws EspalierException if there is none
     */
    public final Tensor buffer(String name) {
        Tensor found = buffers.get(name);
        if (found == null) {
            throw missing("buffer", name, buffers.keySet());
        }
        return found;
    }

    /** Whether there is a parameter {@code name}, stored plainly or behind a parametrization. */
    public final boolean hasParameter(String name) {
        return parametrized.containsKey(name) || parameters.containsKey(name);
    }

    /** Whether there is a buffer of this name. */
    public final boolean hasBuffer(String name) {
        return buffers.containsKey(name);
    }

    /**
     * The parameter as {@code forward} sees it, after its parametrizations.
     *
     * @throws EspalierException if there is none of this name
     */
    public final Tensor value(String name) {
        Parametrized through = parametrized.get(name);
        if (through == null) {
            return parameter(name);
        }
        Tensor value = parameter(through.stored());
        for (Parametrization parametrization : through.chain()) {
            value = parametrization.apply(this, value);
        }
        return value;
    }

    /**
     * Like {@link #value}, and {@code null} where the module has no such parameter (a layer without
     * a bias).
     */
    protected final @Nullable Tensor valueOrNull(String name) {
        return hasParameter(name) ? value(name) : null;
    }

    /** The stored parameters of this module alone, by name. */
    public final SequencedMap<String, Tensor> ownParameters() {
        return Collections.unmodifiableSequencedMap(parameters);
    }

    /** The buffers of this module alone, by name. */
    public final SequencedMap<String, Tensor> ownBuffers() {
        return Collections.unmodifiableSequencedMap(buffers);
    }

    /**
     * All stored parameters by dotted name; one that stands at two places is listed at the first.
     */
    public final SequencedMap<String, Tensor> namedParameters() {
        return distinct(walk(module -> module.parameters));
    }

    /** All buffers by dotted name. */
    public final SequencedMap<String, Tensor> namedBuffers() {
        return distinct(walk(module -> module.buffers));
    }

    /** All stored parameters, each once: what an optimizer trains. */
    public final List<Tensor> parameters() {
        return List.copyOf(namedParameters().values());
    }

    private SequencedMap<String, Tensor> walk(
            java.util.function.Function<Module, Map<String, Tensor>> own) {
        SequencedMap<String, Tensor> all = new LinkedHashMap<>();
        namedModules()
                .forEach((path, module) ->
                        own.apply(module)
                                .forEach((name, tensor) -> all.put(join(path, name), tensor)));
        return all;
    }

    private static SequencedMap<String, Tensor> distinct(SequencedMap<String, Tensor> all) {
        var seen = Collections.newSetFromMap(new java.util.IdentityHashMap<Tensor, Boolean>());
        all.values().removeIf(tensor -> !seen.add(tensor));
        return all;
    }

    // ---- parametrization
    // -----------------------------------------------------------------------------------------

    /**
     * Lets a parameter pass through one more function.
     *
     * @param name the parameter's public name, such as {@code "weight"}
     * @throws EspalierException if there is no such parameter
     */
    public final void parametrize(String name, Parametrization parametrization) {
        Parametrized through = parametrized.get(name);
        if (through == null) {
            parameter(name);
            through = new Parametrized(name, List.of());
        }
        List<Parametrization> chain = new ArrayList<>(through.chain());
        chain.add(parametrization);
        chain.sort(Comparator.comparingInt(Parametrization::order));
        parametrized.put(name, new Parametrized(through.stored(), List.copyOf(chain)));
    }

    /** Takes one function out of a parameter's chain; the others stay. */
    public final void unparametrize(String name, Parametrization parametrization) {
        Parametrized through = parametrized.get(name);
        if (through != null) {
            List<Parametrization> chain = new ArrayList<>(through.chain());
            chain.remove(parametrization);
            if (chain.isEmpty() && through.stored().equals(name)) {
                parametrized.remove(name);
            } else {
                parametrized.put(name, new Parametrized(through.stored(), List.copyOf(chain)));
            }
        }
    }

    /** The functions a parameter passes through, in order; empty where it is stored plainly. */
    public final List<Parametrization> parametrizations(String name) {
        Parametrized through = parametrized.get(name);
        return through == null ? List.of() : through.chain();
    }

    /** The public names of the parameters of this module that pass through functions. */
    public final List<String> parametrizedNames() {
        return List.copyOf(parametrized.keySet());
    }

    /**
     * The name under which a parameter is stored: {@code "weight_orig"} for a pruned {@code
     * "weight"}.
     */
    public final String storedName(String name) {
        Parametrized through = parametrized.get(name);
        return through == null ? name : through.stored();
    }

    /**
     * Stores a parameter under another name, as the last of its module (PyTorch's order); its
     * public name stays. The tensor stays the same object, so optimizers keep working.
     *
     * @throws EspalierException if there is no such parameter, or the new name is taken
     */
    public final void storeAs(String name, String stored) {
        String before = storedName(name);
        if (before.equals(stored)) {
            return;
        }
        Tensor tensor = parameter(before);
        requireFree(stored);
        parameters.remove(before);
        parameters.put(stored, tensor);
        List<Parametrization> chain = parametrizations(name);
        if (stored.equals(name) && chain.isEmpty()) {
            parametrized.remove(name);
        } else {
            parametrized.put(name, new Parametrized(stored, chain));
        }
    }

    // ---- mode, recipe
    // --------------------------------------------------------------------------------------------

    /** Puts this module and all below it in training mode. */
    public final void train() {
        training(true);
    }

    /** Puts this module and all below it in inference mode. */
    public final void eval() {
        training(false);
    }

    /** Puts this module and all below it in training or inference mode. */
    public void training(boolean on) {
        training = on;
        children.values().forEach(child -> child.training(on));
    }

    /** Whether this module is in training mode, which it is when new. */
    public final boolean isTraining() {
        return training;
    }

    /**
     * Says how this module and what is below it are to be quantized; {@code null} leaves them out.
     */
    public final void qconfig(@Nullable Recipe recipe) {
        this.recipe = recipe;
        this.recipeSet = true;
    }

    /** Whether {@link #qconfig(Recipe)} was called on this very module. */
    public final boolean hasQconfig() {
        return recipeSet;
    }

    /** What {@link #qconfig(Recipe)} said on this very module. */
    public final Optional<Recipe> qconfig() {
        return Optional.ofNullable(recipe);
    }

    // ---- copies
    // --------------------------------------------------------------------------------------------------

    /**
     * A deep copy: modules, parameters, buffers, masks and hooks' registrations; nothing is shared
     * but the hooks.
     */
    @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"}) // the caller knows its class
    public final <M extends Module> M copy() {
        return (M) new ModuleCopier(Module::cloneTensor).copy(this);
    }

    /**
     * A second module over the same tensors. It stands on its own when the original is {@link
     * #replace replaced}: what replaces a layer and still uses it holds its alias.
     */
    @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"}) // the caller knows its class
    public final <M extends Module> M alias() {
        Module original = this;
        Module alias = new ModuleCopier(UnaryOperator.identity()).copy(original);
        alias.standIn = null;
        return (M) alias;
    }

    private static Tensor cloneTensor(Tensor tensor) {
        return Tensors.keep(tensor.detach().clone().set_requires_grad(tensor.requires_grad()));
    }

    /** A clone whose containers are its own and still hold the original's tensors and children. */
    final Module shallow() {
        try {
            Module clone = (Module) super.clone();
            clone.children = new LinkedHashMap<>(children);
            clone.parameters = new LinkedHashMap<>(parameters);
            clone.buffers = new LinkedHashMap<>(buffers);
            clone.parametrized = new LinkedHashMap<>(parametrized);
            clone.inputHooks = new CopyOnWriteArrayList<>(inputHooks);
            clone.outputHooks = new CopyOnWriteArrayList<>(outputHooks);
            return clone;
        } catch (CloneNotSupportedException e) {
            throw new AssertionError("Module is Cloneable", e);
        }
    }

    /** Maps the tensors and modules that this fresh clone still shares with its original. */
    final void remap(UnaryOperator<Tensor> tensors, UnaryOperator<Module> modules) {
        parameters.replaceAll((name, tensor) -> tensors.apply(tensor));
        buffers.replaceAll((name, tensor) -> tensors.apply(tensor));
        children.replaceAll((name, child) -> modules.apply(child));
        standIn = standIn == null ? null : modules.apply(standIn);
    }

    // ---- words
    // ---------------------------------------------------------------------------------------------------

    /** The class's name as it is printed. */
    protected String typeName() {
        return getClass().getSimpleName();
    }

    /**
     * What is printed between the parentheses, such as {@code in_features=10, out_features=5,
     * bias=True}.
     */
    protected String extraRepr() {
        return "";
    }

    /** The tree as PyTorch prints it. */
    @Override
    public final String toString() {
        return ModulePrinter.print(typeName(), extraRepr(), children);
    }

    private void requireFree(String name) {
        if (name.isEmpty() || name.contains(".")) {
            throw new EspalierException(
                    "A name must not be empty or contain a dot; asked for '" + name + "'.");
        }
        if (children.containsKey(name)
                || parameters.containsKey(name)
                || buffers.containsKey(name)) {
            throw new EspalierException(
                    typeName() + " already has '" + name + "'; choose another name.");
        }
    }

    private EspalierException missing(
            String kind, String name, java.util.Collection<String> names) {
        return new EspalierException(
                "No "
                        + kind
                        + " '"
                        + name
                        + "' in "
                        + typeName()
                        + "; it has"
                        + (names.isEmpty() ? " none." : ": " + String.join(", ", names) + "."));
    }

    private static String join(String path, String name) {
        return path.isEmpty() ? name : path + "." + name;
    }
}
