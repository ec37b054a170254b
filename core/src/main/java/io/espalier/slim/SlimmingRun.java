package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.train.EvalMode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One slimming of a Java model on its way. */
final class SlimmingRun {
    private final ModelSlimmer slimmer;
    private final Map<Group, Integer> widths;
    private final ChannelImportance importance;
    private final List<Optimizer> optimizers;
    private final Slimming.Listener listener;
    private final List<Unit> gone = new ArrayList<>();
    private final Map<Group, String> by = new LinkedHashMap<>();

    /**
     * Prepares.
     *
     * @param widths how many units of each group that is chosen from stay
     * @param optimizers what they remember of parameters follows
     */
    SlimmingRun(
            ModelSlimmer slimmer,
            Map<Group, Integer> widths,
            ChannelImportance importance,
            List<Optimizer> optimizers,
            Slimming.Listener listener) {
        this.slimmer = slimmer;
        this.widths = widths;
        this.importance = importance;
        this.optimizers = optimizers;
        this.listener = listener;
    }

    SlimResult run() {
        try (var scope = new PointerScope()) {
            if (!(importance instanceof ChannelImportance.OnData onData)) {
                return chosen();
            }
            if (!onData.calibration().iterator().hasNext()) {
                throw new EspalierException(
                        "There is no batch to calibrate with; give at least one.");
            }
            Map<Tensor, Tensor> values = values();
            try {
                weigh(onData);
                return chosen();
            } catch (RuntimeException e) {
                restore(values);
                throw e;
            }
        }
    }

    private static void restore(Map<Tensor, Tensor> values) {
        try (var noGrad = new NoGradGuard()) {
            values.forEach((tensor, value) -> tensor.detach().copy_(value));
        }
    }

    private Map<Tensor, Tensor> values() {
        Map<Tensor, Tensor> values = new LinkedHashMap<>();
        for (String name : slimmer.analysis().constants().keySet()) {
            Tensor tensor = slimmer.analysis().tensors().held(name).tensor();
            values.put(tensor, tensor.detach().clone());
        }
        return values;
    }

    private void weigh(ChannelImportance.OnData onData) {
        Module reference = slimmer.model().copy();
        reference.eval();
        try (var inference = new EvalMode(slimmer.model());
                var units = new LayerwiseUnits(slimmer.analysis(), widths, onData)) {
            gone.addAll(units.run(reference, listener));
            widths.keySet().stream()
                    .filter(units::knows)
                    .forEach(group ->
                            by.put(group, onData.solves() ? "second order" : "activations"));
        }
    }

    /** Chooses from the groups that are left, and removes. */
    private SlimResult chosen() {
        var scoring = new UnitScores(slimmer.analysis(), importance);
        int done = 0;
        for (Map.Entry<Group, Integer> entry : widths.entrySet()) {
            Group group = entry.getKey();
            listener.at("weighing groups", done++, widths.size());
            if (!by.containsKey(group)) {
                UnitScores.Scored scored = scoring.of(group);
                by.put(group, scored.by());
                List<Unit> units = group.units();
                gone.addAll(
                        UnitWidths.lowest(units, scored.scores(), units.size() - entry.getValue()));
            }
        }
        listener.at("removing", 0, 1);
        return slimmer.remove(gone, by, optimizers);
    }
}
