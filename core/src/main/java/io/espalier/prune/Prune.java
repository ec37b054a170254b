package io.espalier.prune;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Prunes the parameters of a model by masks, as {@code torch.nn.utils.prune}.
 *
 * <p>A pruned {@code weight} is stored as the parameter {@code weight_orig} and the buffer {@code
 * weight_mask}, 0 where an entry is pruned and 1 where it is kept; what {@code forward} sees is
 * their product, so training never brings back what is masked.
 *
 * <p>An amount given as a {@code double} is a share from 0 to 1, one given as an integer a count.
 * Pruning a parameter again acts on what is still kept, and a share is then a share of that. Where
 * entries or channels rank equal, the lower index is pruned first, so results repeat.
 *
 * <p>Every method fails with an {@link EspalierException} and leaves the model as it was if there
 * is no such parameter, it holds integers, the amount is no share or more than there is, or what
 * the entries are ranked by holds NaN.
 */
public final class Prune {
    private static final String METHOD = "the pruning method";

    private Prune() {}

    /** Prunes a share of the entries, those of smallest magnitude. */
    public static void l1Unstructured(Module module, String name, double amount) {
        apply(module, name, new L1Unstructured(amount));
    }

    /** Prunes a count of the entries, those of smallest magnitude. */
    public static void l1Unstructured(Module module, String name, long amount) {
        apply(module, name, new L1Unstructured(amount));
    }

    /** Prunes a share of the entries, those of smallest importance in magnitude. */
    public static void l1Unstructured(
            Module module, String name, double amount, Tensor importance) {
        apply(module, name, new L1Unstructured(amount), importance);
    }

    /** Prunes a count of the entries, those of smallest importance in magnitude. */
    public static void l1Unstructured(Module module, String name, long amount, Tensor importance) {
        apply(module, name, new L1Unstructured(amount), importance);
    }

    /** Prunes a share of the entries at random. */
    public static void randomUnstructured(Module module, String name, double amount) {
        apply(module, name, new RandomUnstructured(amount));
    }

    /** Prunes a count of the entries at random. */
    public static void randomUnstructured(Module module, String name, long amount) {
        apply(module, name, new RandomUnstructured(amount));
    }

    /**
     * Prunes a share of the channels, those of smallest Lₙ norm.
     *
     * @param n any positive number, or an infinity
     * @param dim the dimension whose indices are the channels; negative counts from the last
     * @throws EspalierException also if the parameter has one dimension, or not this one
     */
    public static void lnStructured(Module module, String name, double amount, double n, int dim) {
        apply(module, name, new LnStructured(amount, n, dim));
    }

    /** Prunes a count of the channels, those of smallest Lₙ norm. */
    public static void lnStructured(Module module, String name, long amount, double n, int dim) {
        apply(module, name, new LnStructured(amount, n, dim));
    }

    /** Prunes a share of the channels, those whose importance has the smallest Lₙ norm. */
    public static void lnStructured(
            Module module, String name, double amount, double n, int dim, Tensor importance) {
        apply(module, name, new LnStructured(amount, n, dim), importance);
    }

    /** Prunes a count of the channels, those whose importance has the smallest Lₙ norm. */
    public static void lnStructured(
            Module module, String name, long amount, double n, int dim, Tensor importance) {
        apply(module, name, new LnStructured(amount, n, dim), importance);
    }

    /**
     * Prunes a share of the channels at random.
     *
     * @param dim the dimension whose indices are the channels; negative counts from the last
     * @throws EspalierException also if the parameter has one dimension, or not this one
     */
    public static void randomStructured(Module module, String name, double amount, int dim) {
        apply(module, name, new RandomStructured(amount, dim));
    }

    /** Prunes a count of the channels at random. */
    public static void randomStructured(Module module, String name, long amount, int dim) {
        apply(module, name, new RandomStructured(amount, dim));
    }

    /** Gives the parameter a mask of ones: everything is kept, and later pruning starts there. */
    public static void identity(Module module, String name) {
        update(module, name, null, MaskInput::maskOrOnes);
    }

    /**
     * Prunes by a mask of one's own, on top of what is masked already.
     *
     * @param mask in the shape of the parameter, of any type: 0 or {@code false} prunes an entry, 1
     *     or {@code true} keeps it
     * @throws EspalierException also if the mask has another shape or holds anything else
     */
    public static void customFromMask(Module module, String name, Tensor mask) {
        Needed.of(mask, "the mask");
        update(module, name, null, input -> MaskComputation.combined(input, mask));
    }

    /** Prunes by any method, the parameter's own values being the scores. */
    public static void apply(Module module, String name, PruningMethod method) {
        Needed.of(method, METHOD);
        update(module, name, null, input -> MaskComputation.of(method, input));
    }

    /**
     * Prunes by any method.
     *
     * @param importance the scores to go by, in the shape of the parameter
     */
    public static void apply(Module module, String name, PruningMethod method, Tensor importance) {
        Needed.of(method, METHOD);
        Needed.of(importance, "the importance scores");
        update(module, name, importance, input -> MaskComputation.of(method, input));
    }

    private static void update(
            Module module,
            String name,
            @Nullable Tensor importance,
            Function<MaskInput, Tensor> newMask) {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Site site = Site.of(new Target(module, name), importance);
            try {
                site.commit(newMask.apply(site.input()));
            } catch (RuntimeException e) {
                throw site.explained(e);
            }
        }
    }

    /** A parameter of a module, for {@link #globalUnstructured}. */
    public static Target target(Module module, String name) {
        return new Target(module, name);
    }

    /**
     * Prunes a share of the entries of many parameters, as if they were one tensor.
     *
     * @param method a method of an amount, such as {@code L1Unstructured::new}
     * @param amount the share of all that is still kept
     * @throws EspalierException also if there are no targets, or one is listed twice
     */
    public static void globalUnstructured(
            List<Target> targets,
            Function<Amount, ? extends PruningMethod.Unstructured> method,
            double amount) {
        globalUnstructured(targets, method, amount, Map.of());
    }

    /** Prunes a count of the entries of many parameters, as if they were one tensor. */
    public static void globalUnstructured(
            List<Target> targets,
            Function<Amount, ? extends PruningMethod.Unstructured> method,
            long amount) {
        globalUnstructured(targets, method, amount, Map.of());
    }

    /** Prunes a share of the entries of many parameters by importance, as if they were one. */
    public static void globalUnstructured(
            List<Target> targets,
            Function<Amount, ? extends PruningMethod.Unstructured> method,
            double amount,
            Map<Target, Tensor> importance) {
        globalUnstructured(targets, method(method, Amount.share(amount)), importance);
    }

    /** Prunes a count of the entries of many parameters by importance, as if they were one. */
    public static void globalUnstructured(
            List<Target> targets,
            Function<Amount, ? extends PruningMethod.Unstructured> method,
            long amount,
            Map<Target, Tensor> importance) {
        globalUnstructured(targets, method(method, Amount.count(amount)), importance);
    }

    private static PruningMethod.Unstructured method(
            Function<Amount, ? extends PruningMethod.Unstructured> of, Amount amount) {
        return Needed.given(Needed.of(of, METHOD).apply(amount), METHOD);
    }

    /** Prunes the entries of many parameters, as if they were one tensor. */
    public static void globalUnstructured(List<Target> targets, PruningMethod.Unstructured method) {
        globalUnstructured(targets, method, Map.of());
    }

    /**
     * Prunes the entries of many parameters, as if they were one tensor.
     *
     * @param importance scores for some or all of the targets, each in its parameter's shape; the
     *     others go by their own values
     * @throws EspalierException also if there are no targets, one is listed twice, or there are
     *     scores for a parameter that is not listed
     */
    public static void globalUnstructured(
            List<Target> targets,
            PruningMethod.Unstructured method,
            Map<Target, Tensor> importance) {
        GlobalPruning.prune(
                Needed.all(targets, "the targets"),
                Needed.of(method, METHOD),
                Needed.of(importance, "the importance scores"));
    }

    /**
     * Makes pruning permanent: the parameter is stored under its own name again, with zeros where
     * it was masked. It stays the same tensor, so an optimizer goes on with it; nothing keeps the
     * zeros from being trained any more.
     *
     * @throws EspalierException if the parameter is not pruned
     */
    public static void remove(Module module, String name) {
        var target = new Target(module, name);
        Site.removeMask(target.module().current(), target.name());
    }

    /** Whether a parameter of the module, or of one below it, is pruned. */
    public static boolean isPruned(Module module) {
        return Needed.of(module, "the module").current().namedModules().values().stream()
                .anyMatch(Prune::hasMask);
    }

    private static boolean hasMask(Module module) {
        return module.parametrizedNames().stream().anyMatch(name -> Site.isMasked(module, name));
    }
}
