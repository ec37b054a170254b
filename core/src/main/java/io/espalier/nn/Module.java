package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Leftovers;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Needed;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
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
public abstract non-sealed class Module extends StateHolder implements Cloneable {
    private Hooks inputHooks = new Hooks();
    private Hooks outputHooks = new Hooks();
    private boolean training = true;

    static {
        Libtorch.start();
    }

    /** Runs the module on one tensor and returns its (first) output. */
    public final Tensor call(Tensor input) {
        return callAll(Collections.singletonList(input)).getFirst();
    }

    /** Runs the module on several tensors and returns its first output. */
    public final Tensor call(Tensor... inputs) {
        return callAll(
                        Collections.unmodifiableList(
                                Arrays.asList(Needed.of(inputs, "the inputs").clone())))
                .getFirst();
    }

    /** Runs the module on several tensors and returns all its outputs. */
    public final List<Tensor> callAll(List<Tensor> inputs) {
        Module target = current();
        if (holdsNull(inputs)) {
            throw new EspalierException(typeName() + " was called with null; it takes tensors.");
        }
        return CallRecorder.CURRENT.isBound()
                ? CallRecorder.CURRENT.get().module(target, inputs, () -> target.run(inputs))
                : target.run(inputs);
    }

    private static boolean holdsNull(@Nullable List<Tensor> tensors) {
        if (tensors == null) {
            return true;
        }
        for (@Nullable Tensor tensor : tensors) {
            if (tensor == null) {
                return true;
            }
        }
        return false;
    }

    private List<Tensor> run(List<Tensor> inputs) {
        try {
            List<Tensor> outputs =
                    outputHooks.apply(this, computed(inputHooks.apply(this, inputs)));
            Leftovers.add(outputs);
            return outputs;
        } catch (RuntimeException e) {
            throw TensorException.lacksPlace(e) ? TensorException.in(describeCall(inputs), e) : e;
        }
    }

    private List<Tensor> computed(List<Tensor> inputs) {
        if (!Overrides.forwardAlone(getClass())) {
            List<Tensor> results = forwardAll(inputs);
            if (holdsNull(results)) {
                throw new EspalierException(
                        typeName() + " gave null; forwardAll returns a list of tensors.");
            }
            return results;
        }
        if (inputs.size() != 1) {
            throw new EspalierException(
                    typeName()
                            + " overrides forward, which takes 1 tensor; it was called with "
                            + inputs.size()
                            + ". Override forwardAll(List) instead.");
        }
        return result(forward(inputs.getFirst()));
    }

    private List<Tensor> result(@Nullable Tensor output) {
        if (output == null) {
            throw new EspalierException(typeName() + " gave null; forward returns a tensor.");
        }
        return List.of(output);
    }

    /**
     * The only result of a layer that may have several.
     *
     * @throws EspalierException if there are others
     */
    final Tensor only(List<Tensor> results) {
        if (results.size() != 1) {
            throw new EspalierException(
                    typeName()
                            + " gives "
                            + results.size()
                            + " tensors; a subclass overrides forwardAll(List), not"
                            + " forward(Tensor).");
        }
        return results.getFirst();
    }

    /**
     * What the module computes from one input. In a subclass of a layer that has a {@link
     * #forwardAll} of its own, such as {@link Sequential}, it comes in the place of that.
     *
     * @throws EspalierException if the module computes nothing from a single tensor
     */
    protected Tensor forward(Tensor input) {
        throw new EspalierException(
                typeName()
                        + " has no forward for one tensor; override forward(Tensor), or "
                        + "forwardAll(List) for several inputs or outputs.");
    }

    /**
     * What the module computes, for modules with several inputs or outputs. A class that overrides
     * it calls {@link #forward} itself where that counts too.
     */
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        if (inputs.size() != 1) {
            throw new EspalierException(
                    typeName() + " takes 1 tensor; it was called with " + inputs.size() + ".");
        }
        return result(forward(inputs.getFirst()));
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
                        .map(t -> t.isNull() ? "(freed)" : Arrays.toString(Tensors.shape(t)))
                        .collect(Collectors.joining(", "));
        return typeName() + "(" + extraRepr() + ") on shape " + shapes;
    }

    /**
     * Whether a call is one step that a graph need not look into: a layer of this library's, which
     * computes with its own tensors, keeps neither what it is handed nor what it gives, and has no
     * other effect. A layer that may be subclassed answers by {@link #computesAs}.
     */
    public boolean isAtomic() {
        return false;
    }

    /**
     * The multiplications of a call, each with an addition; those by elements count for nothing. A
     * module that computes by calling others has none of its own.
     *
     * @param inputs the shapes of what it is called with
     * @param outputs the shapes of what it gives
     */
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return 0;
    }

    /** Those of a layer whose weight's elements all take part in each position of a tensor. */
    protected static long multiplications(Tensor weight, long[] positions) {
        long all = Arrays.stream(positions).reduce(1, (a, b) -> a * b);
        return weight.dim() == 0 || weight.size(0) == 0
                ? 0
                : all * (weight.numel() / weight.size(0));
    }

    /**
     * Whether a call does nothing but call other modules and compute its outputs, or hand on its
     * inputs, so that nothing is lost where a graph holds what it called instead of it.
     */
    public boolean isPure() {
        return false;
    }

    /**
     * Whether this module computes what one of these classes does: it is of that class, or of a
     * subclass that overrides nothing but what is printed.
     */
    @SafeVarargs
    protected final boolean computesAs(Class<? extends Module>... layers) {
        for (Class<?> layer : layers) {
            if (Overrides.computesAs(getClass(), layer)) {
                return true;
            }
        }
        return false;
    }

    /** Whether any hook sees the calls of this module or of one below it. */
    public final boolean isHooked() {
        return hasHooks() || namedChildren().values().stream().anyMatch(child -> child.isHooked());
    }

    /** Whether any hook sees the calls of this very module. */
    public final boolean hasHooks() {
        return hasInputHooks() || hasOutputHooks();
    }

    /** Whether any hook sees the inputs of this very module. */
    public final boolean hasInputHooks() {
        return !inputHooks.isEmpty();
    }

    /** Whether any hook sees the outputs of this very module. */
    public final boolean hasOutputHooks() {
        return !outputHooks.isEmpty();
    }

    /** Calls {@code hook} with the inputs of every later call, before {@code forward}. */
    public final Hook.Registration onInput(Hook hook) {
        inputHooks.add(hook);
        return () -> detach(hook, module -> module.inputHooks);
    }

    /** Calls {@code hook} with the outputs of every later call, after {@code forward}. */
    public final Hook.Registration onOutput(Hook hook) {
        outputHooks.add(hook);
        return () -> detach(hook, module -> module.outputHooks);
    }

    /** As {@link #onOutput}, before the hooks that are there already. */
    public final Hook.Registration onOutputFirst(Hook hook) {
        outputHooks.addFirst(hook);
        return () -> detach(hook, module -> module.outputHooks);
    }

    /** A hook that went on to what replaced this module is taken off there. */
    private void detach(Hook hook, Function<Module, Hooks> of) {
        for (@Nullable Module module = this; module != null; module = module.standIn()) {
            of.apply(module).remove(hook);
        }
    }

    /** Lets the hooks on another module's inputs see this one's too, after those it has. */
    public final void takeInputHooks(Module other) {
        inputHooks.addAll(other.inputHooks);
    }

    /** Lets the hooks on another module's outputs see this one's too, after those it has. */
    public final void takeOutputHooks(Module other) {
        outputHooks.addAll(other.outputHooks);
    }

    /**
     * Lets another run in each hook's stead, such as one that prepares what it is handed. What is
     * registered stays the hook itself.
     */
    public final void wrapHooks(UnaryOperator<Hook> wrap) {
        inputHooks.wrap(wrap);
        outputHooks.wrap(wrap);
    }

    /** Takes over the hooks of another very module besides its own. */
    public final void takeHooks(Module other) {
        inputHooks.addAll(other.inputHooks);
        outputHooks.addAll(other.outputHooks);
    }

    /** Whether there is a hook of a class. */
    public final boolean hasHook(Class<? extends Hook> type) {
        return inputHooks.has(type) || outputHooks.has(type);
    }

    /** Whether there is a hook that is of no such class. */
    public final boolean hasHookBeside(Class<? extends Hook> type) {
        return inputHooks.hasBeside(type) || outputHooks.hasBeside(type);
    }

    /** Takes all hooks off that are of a class, such as those that observe. */
    public final void removeHooks(Class<? extends Hook> type) {
        inputHooks.removeAll(type);
        outputHooks.removeAll(type);
    }

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
        namedChildren().values().forEach(child -> child.training(on));
    }

    /** Whether this module is in training mode, which it is when new. */
    public final boolean isTraining() {
        return training;
    }

    /** A clone whose containers are its own and still hold the original's tensors and children. */
    final Module shallow() {
        try {
            Module clone = (Module) super.clone();
            clone.ownContainers();
            clone.ownChildren();
            clone.inputHooks = new Hooks();
            clone.inputHooks.addAll(inputHooks);
            clone.outputHooks = new Hooks();
            clone.outputHooks.addAll(outputHooks);
            return clone;
        } catch (CloneNotSupportedException e) {
            throw new AssertionError("Module is Cloneable", e);
        }
    }

    /** Maps the tensors and modules that this fresh clone still shares with its original. */
    final void remap(UnaryOperator<Tensor> tensors, UnaryOperator<Module> modules) {
        remapTensors(tensors);
        remapModules(modules);
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
        return ModulePrinter.print(this);
    }
}
