package io.espalier.slim;

import io.espalier.nn.LayerForm;
import io.espalier.nn.Module;
import io.espalier.slim.SlimResult.Cost;
import io.espalier.slim.SlimResult.Row;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * Removal of what masks or zeros have emptied, round after round, since what is removed shows what
 * else nobody needs.
 */
final class PrunedRemoval {
    /** Chains longer than this are none. */
    private static final int MOST_ROUNDS = 10;

    private final Module model;
    private final List<Tensor> example;
    private final Deque<Runnable> back = new ArrayDeque<>();

    PrunedRemoval(Module model, List<Tensor> example) {
        this.model = model;
        this.example = example;
    }

    SlimResult run() {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            ModelSlimmer first = ModelSlimmer.of(model, example);
            Cost before = first.cost();
            List<Tensor> wanted = results();
            Cost after;
            try {
                ModelSlimmer last = rounds(first);
                requireSame(wanted, results(), rounding(first));
                after = last.cost();
            } catch (RuntimeException e) {
                back.forEach(Runnable::run);
                throw e;
            }
            List<Row> rows = new ArrayList<>();
            for (Group group : first.groups().all()) {
                rows.add(row(group, first.analysis()));
            }
            return new SlimResult(model, rows, "units", first.groups(), before, after);
        }
    }

    private ModelSlimmer rounds(ModelSlimmer first) {
        ModelSlimmer slimmer = first;
        if (model.namedModules().values().stream().anyMatch(LayerForm.class::isInstance)) {
            // What rounding makes zero may train to something else.
            return slimmer;
        }
        for (int round = 0; round < MOST_ROUNDS; round++) {
            var pruned = new PrunedChannels(slimmer.analysis(), slimmer.groups());
            if (pruned.isFoldable()) {
                keepValues(slimmer.analysis());
                pruned.fold();
                pruned = new PrunedChannels(slimmer.analysis(), slimmer.groups());
            }
            List<Unit> gone =
                    ModelRemoval.leavingSome(
                            slimmer.analysis(), slimmer.groups(), pruned.removable());
            if (gone.isEmpty()) {
                return slimmer;
            }
            back.push(slimmer.removed(gone)::undo);
            slimmer = ModelSlimmer.of(model, example);
        }
        return slimmer;
    }

    private void keepValues(ModelAnalysis analysis) {
        for (String name : analysis.constants().keySet()) {
            keepValues(analysis.tensors().held(name).tensor());
            analysis.tensors().held(name).alike().forEach(this::keepValues);
        }
    }

    private void keepValues(Tensor tensor) {
        Tensor copy = tensor.detach().clone();
        back.push(() -> tensor.detach().copy_(copy));
    }

    /** Sums in another order differ by so much of the largest result. */
    private static double rounding(ModelSlimmer slimmer) {
        return slimmer.analysis().traced().elements().values().stream()
                .mapToDouble(type ->
                        switch (type) {
                            case BFloat16 -> 0.1;
                            case Half -> 0.02;
                            case Float -> 1e-4;
                            default -> 1e-12;
                        })
                .max()
                .orElse(1e-4);
    }

    private List<Tensor> results() {
        try (var trial = new Trial(model)) {
            return model.callAll(example);
        }
    }

    private void requireSame(List<Tensor> wanted, List<Tensor> given, double rounding) {
        for (int i = 0; i < wanted.size(); i++) {
            Tensor was = wanted.get(i);
            if (!was.is_floating_point() || was.numel() == 0) {
                continue;
            }
            Tensor wide = was.to(ScalarType.Double);
            double apart = wide.sub(given.get(i)).abs().max().item_double();
            double most = wide.abs().max().item_double();
            if (!(apart <= rounding * Math.max(most, rounding))
                    && was.isfinite().all().item_bool()) {
                throw new EspalierException(
                        "Nothing was removed from %s, since its results differ by %g without what is empty."
                                .formatted(model.getClass().getSimpleName(), apart));
            }
        }
    }

    private static Row row(Group group, ModelAnalysis analysis) {
        Place place = group.place();
        long was = analysis.looked(place.constant())[place.dimension()];
        long is = analysis.tensors().held(place.constant()).tensor().size(place.dimension());
        int each = group.units().getFirst().slices().firstEntry().getValue().length;
        int left = group.units().size() - Math.toIntExact((was - is) / Math.max(1, each));
        boolean any = left < group.units().size();
        return new Row(
                group,
                Math.max(left, 1),
                any ? "emptied by pruning" : "not empty",
                Optional.empty());
    }
}
