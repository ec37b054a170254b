package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Prunes the entries of many parameters as if they were one tensor, all of them or none. */
final class GlobalPruning {
    private GlobalPruning() {}

    static void prune(
            List<Target> targets,
            PruningMethod.Unstructured method,
            Map<Target, Tensor> importance) {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            List<Site> sites = sites(targets, importance);
            List<Tensor> masks = masks(method, sites);
            for (int i = 0; i < sites.size(); i++) {
                sites.get(i).commit(masks.get(i));
            }
        }
    }

    private static List<Tensor> masks(PruningMethod.Unstructured method, List<Site> sites) {
        try {
            return MaskComputation.of(method, sites.stream().map(Site::input).toList());
        } catch (RuntimeException e) {
            throw Site.explained("Pruning " + sites.size() + " parameters together", e);
        }
    }

    private static List<Site> sites(List<Target> targets, Map<Target, Tensor> importance) {
        if (targets.isEmpty()) {
            throw new EspalierException(
                    "There are no parameters to prune; give at least one target.");
        }
        List<Site> sites = new ArrayList<>();
        for (Target target : targets) {
            Tensor scores =
                    importance.containsKey(target)
                            ? Needed.of(importance.get(target), "the scores for a target")
                            : null;
            Site site = Site.of(target, scores);
            if (sites.stream().anyMatch(site::isSameAs)) {
                throw new EspalierException(site + " is listed twice; list each target once.");
            }
            sites.add(site);
        }
        for (Target target : importance.keySet()) {
            if (!targets.contains(target)) {
                throw new EspalierException(
                        "There are importance scores for "
                                + Site.of(target, null)
                                + ", which is not among the targets; list it or leave them out.");
            }
        }
        return sites;
    }
}
