package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;
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
public abstract non-sealed class Module extends ParameterHolder implements Cloneable {
    private SequencedMap<String, Module> children = new LinkedHashMap<>();
    private List<Hook> inputHooks = new CopyOnWriteArrayList<>();
    private List<Hook> outputHooks = new CopyOnWriteArrayList<>();
    private @Nullable Module standIn;
    private boolean training = true;
    private @Nullable Recipe recipe;
    private boolean recipeSet;

    static {
        io.espalier.tensor.Libtorch.start();
    }

    // ---- running

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

    /**
     * The error of a layer that can't take an input.
     *
     * @param input what it was called with
     * @param needed what it needs, as the end of the sentence
     */
    protected final EspalierException wrongInput(Tensor input, String needed) {
        return new EspalierException(describeCall(List.of(input)) + ": " + needed);
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

    /** Takes all hooks off that are of a class, such as those that observe. */
    public final void removeHooks(Class<? extends Hook> type) {
        inputHooks.removeIf(type::isInstance);
        outputHooks.removeIf(type::isInstance);
    }

    // ---- children

    /** Adds a child under a name and returns it, for use in a field's initializer. */
    public final <M extends Module> M add(String name, M child) {
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

    private static SequencedMap<String, Tensor> distinct(SequencedMap<String, Tensor> all) {
        var seen = Collections.newSetFromMap(new IdentityHashMap<Tensor, Boolean>());
        all.values().removeIf(tensor -> !seen.add(tensor));
        return all;
    }

    // ---- state

    /**
     * All stored parameters and buffers by dotted name, in PyTorch's order: of each module its
     * parameters, its buffers, then its children. The tensors share the model's memory and carry no
     * gradient.
     */
    public final SequencedMap<String, Tensor> stateDict() {
        return StateDict.of(this);
    }

    /**
     * Copies a state into this model, whole or not at all. A state that holds {@code NAME_orig} and
     * {@code NAME_mask} where this model has a plain {@code NAME} makes that parameter masked.
     *
     * @throws EspalierException if an entry is missing, too many, or of another shape or type; the
     *     message names them and the model is as it was
     */
    public final void loadStateDict(Map<String, Tensor> state) {
        StateDict.load(this, state);
    }

    /**
     * Writes the state to a safetensors file that PyTorch can load too. A file that is there is
     * replaced in one step: whoever reads sees the old one or the new.
     *
     * @throws EspalierException if the file can't be written
     */
    public final void save(Path file) {
        SafeTensors.write(file, stateDict(), Map.of("format", "pt"));
    }

    /**
     * Reads the state from a safetensors file, as {@link #loadStateDict} does.
     *
     * @throws EspalierException if the file can't be read or its state does not fit
     */
    public final void load(Path file) {
        try (var scope = new PointerScope()) {
            loadStateDict(SafeTensors.read(file).tensors());
        } catch (EspalierException e) {
            throw e.getMessage() != null && e.getMessage().contains(file.toString())
                    ? e
                    : new EspalierException(file + ": " + e.getMessage(), e);
        }
    }

    /**
     * Whether a buffer takes whatever shape a loaded state has, as an observer's do whose shape
     * depends on the data.
     */
    protected boolean isResizable(String buffer) {
        return false;
    }

    /** Called after a state was loaded into the model, to compute what depends on it. */
    protected void stateLoaded() {}

    // ---- mode, recipe

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
            clone.ownContainers();
            clone.inputHooks = new CopyOnWriteArrayList<>(inputHooks);
            clone.outputHooks = new CopyOnWriteArrayList<>(outputHooks);
            return clone;
        } catch (CloneNotSupportedException e) {
            throw new AssertionError("Module is Cloneable", e);
        }
    }

    /** Maps the tensors and modules that this fresh clone still shares with its original. */
    final void remap(UnaryOperator<Tensor> tensors, UnaryOperator<Module> modules) {
        remapTensors(tensors);
        children.replaceAll((name, child) -> modules.apply(child));
        standIn = standIn == null ? null : modules.apply(standIn);
    }

    // ---- words

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
        return ModulePrinter.print(this);
    }

    @Override
    final boolean hasChild(String name) {
        return children.containsKey(name);
    }

    static String join(String path, String name) {
        return path.isEmpty() ? name : path + "." + name;
    }
}
