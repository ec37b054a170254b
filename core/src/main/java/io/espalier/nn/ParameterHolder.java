package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;

/**
 * The tensors of one module: parameters and buffers by name, and the functions that a parameter
 * passes through before {@code forward} sees it. {@link ModuleTree} adds the tree, {@link
 * StateHolder} its state, {@link Module} the running.
 */
abstract sealed class ParameterHolder extends AttachmentHolder permits ModuleTree {
    private SequencedMap<String, Tensor> parameters = new LinkedHashMap<>();
    private SequencedMap<String, Tensor> buffers = new LinkedHashMap<>();
    private Map<String, Parametrized> parametrized = new LinkedHashMap<>();
    private @Nullable String folded;

    /**
     * A parameter that passes through functions: where it is stored, and the functions in order.
     */
    private record Parametrized(String stored, List<Parametrization> chain) {}

    /** Registers a trainable tensor under a name and returns it. */
    public final Tensor addParameter(String name, Tensor value) {
        requireFree(name);
        requireTensor("parameter", name, value);
        if (!value.is_floating_point()) {
            throw new EspalierException(
                    "A parameter is trained and so needs a floating-point tensor; '"
                            + name
                            + "' is "
                            + Tensors.type(value)
                            + ". Register it with addBuffer.");
        }
        parameters.put(name, Tensors.keep(value.set_requires_grad(true)));
        return value;
    }

    /** Registers a tensor that is saved with the module but not trained, and returns it. */
    public final Tensor addBuffer(String name, Tensor value) {
        requireFree(name);
        requireTensor("buffer", name, value);
        buffers.put(name, Tensors.keep(value));
        return value;
    }

    private void requireTensor(String kind, String name, @Nullable Tensor value) {
        if (value == null) {
            throw Needed.absent("the " + kind + " '" + name + "' of " + typeName());
        }
        Tensors.requireLive(value);
    }

    /**
     * Takes over another module's parameters, buffers and parametrizations in place of its own: the
     * same tensors under the same names, so that masks stay and optimizers keep working.
     */
    public final void adopt(Module other) {
        ParameterHolder from = other;
        parameters = new LinkedHashMap<>(from.parameters);
        buffers = new LinkedHashMap<>(from.buffers);
        parametrized = new LinkedHashMap<>(from.parametrized);
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
        buffers.replace(name, Tensors.keep(Needed.of(value, "a buffer")));
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
     * The parameter as {@code forward} sees it, after its parametrizations. Code that uses a
     * layer's weight beside the layer itself asks for it here: where the layer was replaced (fused,
     * quantized) it gets what the one that stands there now computes with, as floats.
     *
     * @throws EspalierException if there is none of this name, or a normalization was folded into
     *     it
     */
    public final Tensor value(String name) {
        Module standing = current();
        if (!equals(standing)) {
            if (folded != null) {
                throw new EspalierException(
                        "Can't read '" + name + "' of " + typeName() + ": " + folded);
            }
            return standing.value(name);
        }
        Parametrized through = parametrized.get(name);
        if (through == null) {
            Tensor stored = parameters.get(name);
            return stored == null ? derived(name) : stored;
        }
        Tensor value = parameter(through.stored());
        for (Parametrization parametrization : through.chain()) {
            value = parametrization.apply((Module) this, value);
        }
        record(name, value);
        return value;
    }

    private Tensor derived(String name) {
        Tensor value = ((Module) this).derivedValue(name);
        if (value == null) {
            throw missing("parameter", name, parameters.keySet());
        }
        record(name, value);
        return value;
    }

    private void record(String name, Tensor value) {
        if (CallRecorder.CURRENT.isBound()) {
            CallRecorder.CURRENT.get().parameter((Module) this, name, value);
        }
    }

    /** A parameter as {@link #value} gives it or, where there is none of the name, the buffer. */
    public final Tensor valueOrBuffer(String name) {
        boolean stored = buffers.containsKey(name) && !hasParameter(name);
        Tensor derived = stored ? ((Module) this).derivedValue(name) : null;
        return derived != null ? derived : stored ? buffer(name) : value(name);
    }

    /**
     * From now on the parameters of this module, once it is replaced, can't be read through it:
     * those of what stands there are others.
     *
     * @param reason why, as the end of the error's sentence
     */
    public final void foldedAway(String reason) {
        folded = reason;
    }

    /** What stands at this module's place now: itself unless it was replaced. */
    public abstract Module current();

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
        if (!stored.equals(name)) {
            requireFree(stored);
        }
        parameters.remove(before);
        parameters.put(stored, tensor);
        List<Parametrization> chain = parametrizations(name);
        if (stored.equals(name) && chain.isEmpty()) {
            parametrized.remove(name);
        } else {
            parametrized.put(name, new Parametrized(stored, chain));
        }
    }

    /** The class's name as it is printed; that of its superclass where it has none. */
    protected String typeName() {
        Class<?> type = getClass();
        while (type.isAnonymousClass()) {
            type = type.getSuperclass();
        }
        return type.getSimpleName();
    }

    final void requireFree(String name) {
        if (Needed.of(name, "a name").isEmpty() || name.contains(".")) {
            throw new EspalierException(
                    "A name must not be empty or contain a dot; asked for '" + name + "'.");
        }
        if (hasChild(name)
                || parameters.containsKey(name)
                || parametrized.containsKey(name)
                || buffers.containsKey(name)) {
            throw new EspalierException(
                    typeName() + " already has '" + name + "'; choose another name.");
        }
    }

    final EspalierException missing(String kind, String name, Collection<String> names) {
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

    /** Whether there is a child of this name. */
    abstract boolean hasChild(String name);

    /** Gives this fresh clone containers of its own, which still hold the original's tensors. */
    final void ownContainers() {
        parameters = new LinkedHashMap<>(parameters);
        buffers = new LinkedHashMap<>(buffers);
        parametrized = new LinkedHashMap<>(parametrized);
    }

    /** Maps the tensors that this fresh clone still shares with its original. */
    final void remapTensors(UnaryOperator<Tensor> tensors) {
        parameters.replaceAll((name, tensor) -> tensors.apply(tensor));
        buffers.replaceAll((name, tensor) -> tensors.apply(tensor));
    }
}
