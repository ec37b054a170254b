package io.espalier.prune;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * Prunes the parameters of a model by masks, as {@code torch.nn.utils.prune}.
 *
 * <p>A pruned {@code weight} is stored as the parameter {@code weight_orig} and the buffer {@code
 * weight_mask}; what {@code forward} sees is their product, so training never brings back what is
 * masked. Pruning a parameter again acts on what is still kept, and amounts are relative to that.
 */
public final class Prune {
    private Prune() {}

    /** A parameter of a module, for {@link #globalUnstructured}. */
    public static Target target(Module module, String name) {
        return new Target(module, name);
    }

    /**
     * Prunes a share of the entries, those of smallest magnitude.
     *
     * @param name the parameter, such as {@code "weight"}
     * @param amount the share of what is still kept, from 0 to 1
     * @throws EspalierException if the amount is no share, there is no such parameter, it holds
     *     integers or NaN
     */
    public static void l1Unstructured(Module module, String name, double amount) {
        apply(module, name, new L1Unstructured(amount));
    }

    /** Prunes a count of entries, those of smallest magnitude. */
    public static void l1Unstructured(Module module, String name, long amount) {
        apply(module, name, new L1Unstructured(amount));
    }

    /** Prunes a parameter by any method, its own values being the scores. */
    public static void apply(Module module, String name, PruningMethod method) {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Site site = Site.of(new Target(module, name));
            site.commit(MaskComputation.of(method, site, site.value()));
        }
    }

    /**
     * Prunes a parameter by any method.
     *
     * @param importance the scores to go by, in the shape of the parameter
     */
    public static void apply(Module module, String name, PruningMethod method, Tensor importance) {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Site site = Site.of(new Target(module, name));
            site.commit(MaskComputation.of(method, site, site.scores(importance)));
        }
    }

    /**
     * Prunes many parameters as if their entries were one tensor: a share of all, wherever they
     * are.
     *
     * @param method an unstructured method
     */
    public static void globalUnstructured(List<Target> targets, PruningMethod.Unstructured method) {
        globalUnstructured(targets, method, Map.of());
    }

    /**
     * Prunes a share of the entries of many parameters.
     *
     * @param method the method of an amount, such as {@code L1Unstructured::new}
     * @param amount the share of what is still kept in all of them, from 0 to 1
     */
    public static void globalUnstructured(
            List<Target> targets,
            Function<Amount, ? extends PruningMethod.Unstructured> method,
            double amount) {
        globalUnstructured(targets, method.apply(Amount.share(amount)));
    }

    /** Prunes a count of entries of many parameters. */
    public static void globalUnstructured(
            List<Target> targets,
            Function<Amount, ? extends PruningMethod.Unstructured> method,
            long amount) {
        globalUnstructured(targets, method.apply(Amount.count(amount)));
    }

    /**
     * Prunes many parameters as if their entries were one tensor.
     *
     * @param importance scores for some or all of the targets, each in its parameter's shape; the
     *     others go by their own values
     */
    public static void globalUnstructured(
            List<Target> targets,
            PruningMethod.Unstructured method,
            Map<Target, Tensor> importance) {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            List<Site> sites = sites(targets, importance.keySet());
            List<Tensor> scores = new ArrayList<>();
            for (int i = 0; i < sites.size(); i++) {
                Site site = sites.get(i);
                Tensor given = importance.get(targets.get(i));
                scores.add(given == null ? site.stored() : site.scores(given));
            }
            List<Tensor> masks = MaskComputation.of(method, sites, scores);
            for (int i = 0; i < sites.size(); i++) {
                sites.get(i).commit(masks.get(i));
            }
        }
    }

    private static List<Site> sites(List<Target> targets, Set<Target> scored) {
        if (targets.isEmpty()) {
            throw new EspalierException(
                    "There are no parameters to prune; give at least one target.");
        }
        Set<Target> seen = new HashSet<>();
        List<Site> sites = new ArrayList<>();
        for (Target target : targets) {
            Site site = Site.of(target);
            if (!seen.add(new Target(site.module(), site.name()))) {
                throw new EspalierException(site + " is listed twice; list each target once.");
            }
            sites.add(site);
        }
        for (Target target : scored) {
            if (!targets.contains(target)) {
                throw new EspalierException(
                        "Importance scores are given for "
                                + Site.of(target)
                                + ", which is not among the targets; add it or leave them out.");
            }
        }
        return sites;
    }

    /**
     * Makes pruning permanent: the parameter is stored under its own name again, with zeros where
     * it was masked, and trains freely. It stays the same tensor, so optimizers go on.
     *
     * @throws EspalierException if the parameter is not pruned
     */
    public static void remove(Module module, String name) {
        Module current = module.current();
        Mask mask = new Mask(name);
        if (!Site.isMasked(current, name)) {
            throw new EspalierException(
                    "'"
                            + name
                            + "' of "
                            + current.getClass().getSimpleName()
                            + " is not pruned, so there is no mask to remove; prune it first.");
        }
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Tensor stored = current.parameter(current.storedName(name));
            stored.mul_(current.buffer(mask.bufferName()));
        }
        current.unparametrize(name, mask);
        current.storeAs(name, name);
        current.removeBuffer(mask.bufferName());
    }

    /** Whether a parameter of the module, or of one below it, is pruned. */
    public static boolean isPruned(Module module) {
        return module.current().namedModules().values().stream()
                .anyMatch(each ->
                        each.parametrizedNames().stream()
                                .anyMatch(name -> Site.isMasked(each, name)));
    }
}
