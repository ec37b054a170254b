package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;
import java.util.function.Predicate;

/** One slimming of a Java model on its way: what groups lose, and the model at some widths. */
final class SlimmingRun {
    /** Enough to see which groups the results hang on. */
    private static final int PROBES = 16;

    private static final int JUDGED = 256;

    /** Enough for an average of what a block gives. */
    private static final int MEANS = 128;

    private static final String REMOVED = "block removed";

    private final ModelSlimmer slimmer;
    private final List<Group> groups;
    private final List<ModelBlock> mayGo;
    private LeftOutModules blocks;
    private final ChannelImportance importance;
    private final List<Optimizer> optimizers;
    private final Slimming.Listener listener;
    private final UnitScores scores;

    /**
     * Prepares.
     *
     * @param groups that are chosen from
     * @param mayGo blocks that may go whole, if there is data to see what is lost by them
     * @param optimizers what they remember of parameters follows
     */
    SlimmingRun(
            ModelSlimmer slimmer,
            List<Group> groups,
            List<ModelBlock> mayGo,
            ChannelImportance importance,
            List<Optimizer> optimizers,
            Slimming.Listener listener) {
        this.slimmer = slimmer;
        this.groups = groups;
        this.mayGo = mayGo;
        this.importance = importance;
        this.optimizers = optimizers;
        this.listener = listener;
        scores = new UnitScores(slimmer.analysis(), importance);
        blocks = LeftOutModules.none(slimmer.analysis(), groups);
    }

    /** What goes, and how it was chosen. */
    private record Chosen(List<Unit> gone, Map<Group, String> by) {}

    /**
     * Slims the model, or leaves it as it is.
     *
     * @throws EspalierException if there is nothing to calibrate with, or the target can't be met
     */
    SlimResult to(SlimmingTarget target) {
        boolean looks = importance instanceof ChannelImportance.OnData;
        if (importance instanceof ChannelImportance.OnData onData) {
            CalibrationBatches.require(onData.calibration(), slimmer.example().size());
        }
        if (target.kind() == SlimmingTarget.Kind.MAX_DROP && !looks) {
            throw new EspalierException(
                    "A largest drop is measured on calibration data; give an importance that has"
                            + " some.");
        }
        try (var scope = new PointerScope()) {
            if (importance instanceof ChannelImportance.OnData onData && target.isSearched()) {
                blocks = new LeftOutModules(slimmer.analysis(), groups.size(), means(onData));
            }
            return new TargetWidths(slimmer, this, listener).to(target);
        }
    }

    private SequencedMap<ModelBlock, Tensor> means(ChannelImportance.OnData onData) {
        List<ModelBlock> some =
                mayGo.stream().filter(block -> groups.stream().anyMatch(block::contains)).toList();
        try (var trial = new Trial(slimmer.model())) {
            return BlockMeans.of(slimmer.analysis(), some, onData.calibration(), MEANS);
        }
    }

    /** The groups that get narrower. */
    List<Group> groups() {
        return groups;
    }

    /** The residual blocks that may go. */
    LeftOutModules blocks() {
        return blocks;
    }

    /** What is lost without each of the blocks. */
    List<RemovableBlock> lossesOfBlocks() {
        if (blocks.count() == 0 || !(importance instanceof ChannelImportance.OnData onData)) {
            return List.of();
        }
        List<RemovableBlock> losses = new ArrayList<>();
        Cut nothing = slimmer.groups().nothing();
        try (var trial = new Trial(slimmer.model());
                var results = new ModelResults(slimmer.model(), onData.calibration(), PROBES)) {
            for (int b = 0; b < blocks.count(); b++) {
                listener.at("finding what blocks lose", b, blocks.count());
                try (var out = blocks.leaveOut(blocks.without(b), nothing)) {
                    losses.add(blocks.removable(b, groups, results.drop()));
                }
            }
        }
        return losses;
    }

    /** What is lost of each group, by how many of its units are gone. */
    List<double[]> losses() {
        Map<Group, LossCurve> curves = new HashMap<>();
        if (importance instanceof ChannelImportance.OnData onData) {
            curves.putAll(onData(onData));
        }
        return groups.stream()
                .map(group -> curves.computeIfAbsent(group, scores::curve).losses())
                .toList();
    }

    private Map<Group, LossCurve> onData(ChannelImportance.OnData onData) {
        Module model = slimmer.model();
        Module reference = model.copy();
        reference.eval();
        var layers = WeighedLayer.readers(slimmer.analysis(), groups, node -> true);
        var pass = new LayerPass(model, reference, onData.calibration());
        try (var trial = new Trial(model);
                var results = new ModelResults(model, onData.calibration(), PROBES)) {
            return new LayerCurves<>(
                            layers,
                            (left, gone) -> probe(left, gone, onData.solves(), results),
                            words(onData))
                    .of(
                            layer -> {
                                pass.take(List.of(layer));
                                layer.weigh(layer.layer(), onData.solves());
                            },
                            listener);
        }
    }

    private static String words(ChannelImportance.OnData onData) {
        return onData.solves() ? "second order" : "activations";
    }

    /** What the results lose without units, while layers have the weights that are left. */
    private double probe(
            Map<WeighedLayer, InputCosts> left,
            List<Unit> gone,
            boolean solves,
            ModelResults results) {
        List<Runnable> back = new ArrayList<>();
        try {
            left.forEach((layer, costs) -> back.add(layer.tried(costs, solves)));
            return drop(slimmer.removed(slimmer.leavingSome(gone)), results);
        } finally {
            back.forEach(Runnable::run);
        }
    }

    /** What the model gives now for the calibration data. */
    ModelResults results() {
        var onData = (ChannelImportance.OnData) importance;
        try (var trial = new Trial(slimmer.model())) {
            return new ModelResults(slimmer.model(), onData.calibration(), JUDGED);
        }
    }

    /** How far the results are off at these widths; then the model is as it was. */
    double drop(int[] widths, ModelResults results) {
        return withChosen(
                widths,
                true,
                chosen -> {
                    List<Unit> gone = slimmer.leavingSome(chosen.gone());
                    return drop(slimmer.removed(gone, blocks, widths), results);
                });
    }

    private double drop(ModelSlimmer.Removed removed, ModelResults results) {
        try (var trial = new Trial(slimmer.model())) {
            return results.drop();
        } finally {
            removed.undo();
        }
    }

    /** Gives the groups, and the blocks behind them, these widths, or leaves the model as it is. */
    SlimResult at(int[] widths) {
        return withChosen(
                widths,
                false,
                chosen -> {
                    listener.at("removing", 0, 1);
                    return slimmer.remove(chosen.gone(), blocks, widths, chosen.by(), optimizers);
                });
    }

    /**
     * Does something with what is chosen, while layers have the weights that make up for it.
     *
     * @param passing whether they get back those that they had, as they do after an error
     */
    private <T> T withChosen(int[] widths, boolean passing, Function<Chosen, T> does) {
        try (var scope = new PointerScope()) {
            Map<Tensor, Tensor> values =
                    importance instanceof ChannelImportance.OnData ? values() : Map.of();
            boolean keeps = false;
            try {
                T result = does.apply(chosen(widths));
                keeps = !passing;
                return result;
            } finally {
                if (!keeps) {
                    restore(values);
                }
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

    private Chosen chosen(int[] widths) {
        var chosen = new Chosen(new ArrayList<>(), new LinkedHashMap<>());
        if (importance instanceof ChannelImportance.OnData onData) {
            weigh(onData, widths, chosen);
        } else {
            score(widths, chosen, group -> true);
        }
        return chosen;
    }

    private void score(int[] widths, Chosen chosen, Predicate<Group> some) {
        for (int g = 0; g < groups.size(); g++) {
            Group group = groups.get(g);
            if (blocks.isOut(group, widths)) {
                chosen.by().put(group, REMOVED);
            } else if (some.test(group)) {
                listener.at("weighing groups", g, groups.size());
                UnitScores.Scored scored = scores.of(group);
                chosen.by().put(group, scored.by());
                List<Unit> units = group.units();
                chosen.gone()
                        .addAll(
                                UnitWidths.lowest(
                                        units, scored.scores(), units.size() - widths[g]));
            }
        }
    }

    private void weigh(ChannelImportance.OnData onData, int[] widths, Chosen chosen) {
        Map<Group, Integer> byGroup = new LinkedHashMap<>();
        for (int g = 0; g < groups.size(); g++) {
            if (!blocks.isOut(groups.get(g), widths)) {
                byGroup.put(groups.get(g), widths[g]);
            }
        }
        Module reference = slimmer.model().copy();
        reference.eval();
        Cut nothing = slimmer.groups().nothing();
        try (var trial = new Trial(slimmer.model());
                var out = blocks.leaveOut(widths, nothing);
                var units =
                        new LayerwiseUnits(
                                slimmer.analysis(), byGroup, onData, node -> !out.had(node))) {
            score(widths, chosen, group -> !units.knows(group));
            units.leaveOut(slimmer.leavingSome(chosen.gone()));
            chosen.gone().addAll(units.run(reference, listener));
            groups.stream()
                    .filter(units::knows)
                    .forEach(group -> chosen.by().put(group, words(onData)));
        }
    }
}
