package io.espalier.prune;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.Set;

/**
 * A parameter as pruning finds it.
 *
 * @param module the module that stands at the target's place now
 * @param name the parameter's public name
 * @param input its values and what is known of them
 */
record Site(Module module, String name, MaskInput input) {
    /**
     * Finds a parameter that is ranked by its own values.
     *
     * @throws EspalierException if there is none, or it can't be pruned
     */
    static Site of(Target target) {
        return of(target, null);
    }

    /**
     * Finds a parameter.
     *
     * @throws EspalierException if there is none, it can't be pruned, or the scores have another
     *     shape
     */
    static Site of(Target target, @Nullable Tensor importance) {
        Module module = target.module().current();
        String name = target.name();
        if (!names(module).contains(name)) {
            throw unknown(module, name);
        }
        if (DynamicMask.on(module, name).isPresent()) {
            throw new EspalierException(
                    "'"
                            + name
                            + "' of "
                            + type(module)
                            + " is being pruned while it trains; freeze its DynamicPruning first.");
        }
        Mask mask = new Mask(name);
        boolean masked = isMasked(module, name);
        var input =
                new MaskInput(
                        module.parameter(module.storedName(name)).detach(),
                        importance == null ? null : Tensors.requireLive(importance).detach(),
                        masked ? module.buffer(mask.bufferName()) : null);
        Site site = new Site(module, name, input);
        site.requirePrunable();
        if (!masked) {
            site.requireFree(mask.storedName());
            site.requireFree(mask.bufferName());
        }
        return site;
    }

    static boolean isMasked(Module module, String name) {
        return module.parametrizations(name).contains(new Mask(name));
    }

    /** The public names of a module's parameters. */
    static Set<String> names(Module module) {
        Set<String> names = new LinkedHashSet<>(module.ownParameters().keySet());
        for (String name : module.parametrizedNames()) {
            names.remove(module.storedName(name));
            names.add(name);
        }
        return names;
    }

    private static String type(Module module) {
        return module.getClass().getSimpleName();
    }

    private static EspalierException unknown(Module module, String name) {
        if (module.hasBuffer(name)) {
            return new EspalierException(
                    "'"
                            + name
                            + "' of "
                            + type(module)
                            + " is a buffer ("
                            + Tensors.type(module.buffer(name))
                            + "), not a parameter; only parameters can be pruned.");
        }
        Set<String> names = names(module);
        return new EspalierException(
                "No parameter '"
                        + name
                        + "' in "
                        + type(module)
                        + " to prune; it has"
                        + (names.isEmpty() ? " none." : ": " + String.join(", ", names) + "."));
    }

    private void requirePrunable() {
        if (!torch.isFloatingType(Tensors.type(stored()))) {
            throw new EspalierException(
                    this
                            + " holds integers ("
                            + Tensors.type(stored())
                            + "); only parameters of floating point can be pruned.");
        }
        if (stored().numel() == 0) {
            throw new EspalierException(this + " has no entries; there is nothing to prune.");
        }
        EntryScores.requireEach(input.entryScores(), this, stored());
    }

    private void requireFree(String taken) {
        if (module.hasParameter(taken)
                || module.hasBuffer(taken)
                || module.namedChildren().containsKey(taken)) {
            throw new EspalierException(
                    this + " needs the name '" + taken + "', which the module uses already.");
        }
    }

    /** The parameter as it is trained, without gradient. */
    Tensor stored() {
        return input.values();
    }

    /** What earlier pruning left, or {@code null}. */
    @Nullable Tensor mask() {
        return input.mask();
    }

    /** The parameter as the mask leaves it. */
    Tensor value() {
        return input.maskedValues();
    }

    Tensor maskOrOnes() {
        return input.maskOrOnes();
    }

    /** What a failed computation of this parameter's mask is reported as. */
    EspalierException explained(RuntimeException e) {
        return explained("Pruning " + this, e);
    }

    /** What a failed computation is reported as. */
    static EspalierException explained(String what, RuntimeException e) {
        return e instanceof EspalierException
                ? new EspalierException(what + ": " + e.getMessage(), e)
                : TensorException.in(what, e);
    }

    /** Puts a mask, which nobody else holds, on the parameter, in place of the one there. */
    void commit(Tensor newMask) {
        Tensor own = newMask.to(stored().scalar_type()).contiguous();
        Mask parametrization = new Mask(name);
        if (mask() != null) {
            module.setBuffer(parametrization.bufferName(), own);
            return;
        }
        module.addBuffer(parametrization.bufferName(), own);
        module.storeAs(name, parametrization.storedName());
        module.parametrize(name, parametrization);
    }

    /**
     * Takes a module's mask off, with zeros where it pruned.
     *
     * @throws EspalierException if there is none
     */
    static void removeMask(Module module, String name) {
        Mask mask = new Mask(name);
        if (!isMasked(module, name)) {
            throw new EspalierException(
                    "'"
                            + name
                            + "' of "
                            + type(module)
                            + " is not pruned, so there is no mask to remove; prune it first.");
        }
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Tensor stored = module.parameter(module.storedName(name));
            stored.mul_(module.buffer(mask.bufferName()));
        }
        module.unparametrize(name, mask);
        module.storeAs(name, name);
        module.removeBuffer(mask.bufferName());
    }

    /** Whether both are the same parameter. */
    @SuppressWarnings("ReferenceEquality") // modules are told apart by identity
    boolean isSameAs(Site other) {
        return module == other.module && name.equals(other.name);
    }

    @Override
    public String toString() {
        return "'" + name + "' " + Arrays.toString(Tensors.shape(stored())) + " of " + type(module);
    }
}
