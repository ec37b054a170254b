package io.espalier.onnx.slim;

import io.espalier.onnx.fit.StreamBudget;
import io.espalier.onnx.fit.UnseenRows;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.slim.Group;
import io.espalier.slim.GroupCost;
import io.espalier.slim.LossCurve;
import io.espalier.slim.Place;
import io.espalier.slim.RemovableBlock;
import io.espalier.slim.Unit;
import io.espalier.slim.UnitWidths;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;

/** One slimming on its way: what groups lose, and the models of some widths. */
final class SlimmingRun implements AutoCloseable {
    private static final String REMOVED = "block removed";

    /** How places are chosen that only a product of two activations reads. */
    private static final String BY_SCORES = "what attentions' scores lose";

    /** More examples make the choice no better. */
    private static final int MOST_EXAMPLES = 1024;

    /** Enough to see which groups the results hang on. */
    private static final int PROBES = 16;

    /**
     * How many examples have other rows than the data. More make the best of it, and take memory:
     * by 1200 of them MiniLM is better still and takes 1.7 GB.
     */
    private static final int UNSEEN = 640;

    private static final long SEED = 17;

    /** Enough for an average of what a block gives. */
    private static final int MEANS = 128;

    private final OnnxSlimmer of;
    private final Importance importance;
    private final Slimming.Listener listener;
    private final TurnedHeads heads;
    private final List<Group> groups;
    private final @Nullable CalibrationData data;
    private final List<Map<String, Tensor>> unseen;
    private final UnitScores scores;
    private @Nullable ReferenceOutputs probes;
    private final LeftOutBlocks blocks;

    /**
     * Prepares.
     *
     * @param wholeBlocks whether residual blocks may go as well, if there is data to see what is
     *     lost by them
     */
    SlimmingRun(
            OnnxSlimmer slimmer,
            Importance importance,
            boolean wholeBlocks,
            Slimming.Listener listener) {
        this.importance = importance;
        this.listener = listener;
        listener.at("running the model", 0, 1);
        data =
                importance
                        .data()
                        .map(inputs -> CalibrationData.read(slimmer.model(), inputs, MOST_EXAMPLES))
                        .orElse(null);
        unseen =
                importance instanceof Importance.OnData
                        ? unseen(new UnseenRows(slimmer.model().graph(), data()))
                        : List.of();
        heads = turned(slimmer);
        of = slimmer.with(heads.constants());
        groups = withWidthsOfHeads(of.independent());
        scores = new UnitScores(of, importance, groups, Optional.ofNullable(data), listener);
        blocks =
                wholeBlocks && importance instanceof Importance.OnData
                        ? LeftOutBlocks.of(of, groups, first(data(), MEANS))
                        : LeftOutBlocks.none(of, groups);
    }

    private TurnedHeads turned(OnnxSlimmer slimmer) {
        List<HeadWidth> widths = importance.turnsHeads() ? slimmer.headWidths() : List.of();
        return importance instanceof Importance.OnData && !widths.isEmpty()
                ? TurnedHeads.byData(slimmer, widths, first(data(), MEANS))
                : TurnedHeads.byWeights(slimmer, widths);
    }

    private List<Group> withWidthsOfHeads(List<Group> independent) {
        List<Group> all = new ArrayList<>(independent);
        heads.groups().stream().filter(group -> !independent.contains(group)).forEach(all::add);
        return all;
    }

    /** The groups that get narrower. */
    List<Group> groups() {
        return groups;
    }

    /** The residual blocks that may go. */
    LeftOutBlocks blocks() {
        return blocks;
    }

    /** The calibration data; none if the importance needs none. */
    List<Map<String, Tensor>> data() {
        return data == null ? List.of() : data.batches();
    }

    /** Examples of the data, again and again, with rows of tables that it doesn't read. */
    private List<Map<String, Tensor>> unseen(UnseenRows rows) {
        var random = new Random(SEED);
        List<Map<String, Tensor>> others = new ArrayList<>();
        long examples = 0;
        for (int i = 0; !rows.areNone() && i < UNSEEN && examples < UNSEEN; i++) {
            try (var scope = new PointerScope()) {
                double share = i < data().size() ? 1 : random.nextDouble();
                Map<String, Tensor> batch = data().get(i % data().size());
                Map<String, Tensor> other = rows.in(batch, share, random);
                other.replaceAll((name, tensor) -> Tensors.keep(tensor.clone()));
                others.add(other);
                examples += InputBatches.examples(other);
            }
        }
        return others;
    }

    /** As much of it, and of what else may come, as goes through the model at once. */
    private List<Map<String, Tensor>> some() {
        List<Map<String, Tensor>> all = new ArrayList<>(data());
        all.addAll(unseen);
        return StreamBudget.asMuchAsFits(of.model(), all);
    }

    /** The first batches that have so many examples together. */
    static List<Map<String, Tensor>> first(List<Map<String, Tensor>> batches, int examples) {
        List<Map<String, Tensor>> first = new ArrayList<>();
        long sum = 0;
        for (Map<String, Tensor> batch : batches) {
            if (sum < examples) {
                first.add(batch);
                sum += InputBatches.examples(batch);
            }
        }
        return first;
    }

    /** What is lost of each of some groups, by how many of its units are gone. */
    List<double[]> losses(List<Group> some) {
        Map<Group, LossCurve> curves = new HashMap<>();
        if (importance instanceof Importance.OnData onData) {
            var readers = ReadingLayer.readers(of.model(), of.analysis().ends(), some);
            curves.putAll(
                    new LossCurves(of, readers, onData.solves(), probes()::drop)
                            .of(some(), listener));
        }
        return some.stream()
                .map(group -> curves.computeIfAbsent(group, this::byScores).losses())
                .toList();
    }

    private LossCurve byScores(Group group) {
        double[] losses = heads.losses().get(group);
        return losses == null || !(importance instanceof Importance.OnData)
                ? scores.of(group)
                : LossCurve.ofSums(
                        group,
                        losses,
                        gone -> probes().drop(of.remove(of.leavingSome(gone))),
                        BY_SCORES);
    }

    /** What the model gives for a few examples, run once. */
    private ReferenceOutputs probes() {
        if (probes == null) {
            int threads = Runtime.getRuntime().availableProcessors();
            probes = ReferenceOutputs.of(of.model(), first(data(), PROBES), threads);
        }
        return probes;
    }

    /** What is lost without each of the blocks, as a share of what results are. */
    List<RemovableBlock> lossesOfBlocks() {
        List<RemovableBlock> losses = new ArrayList<>();
        for (int b = 0; b < blocks.count(); b++) {
            listener.at("finding what blocks lose", b, blocks.count());
            double drop = probes().drop(blocks.out(of.model(), blocks.without(b)));
            losses.add(blocks.removable(b, groups, drop));
        }
        return losses;
    }

    /** The model whose groups, and the blocks behind them, have these widths. */
    SlimResult at(int[] widths, Map<Group, GroupCost> spent, String unit) {
        Map<Group, String> by = new HashMap<>();
        Set<Group> weighed = weighed(widths);
        List<Unit> gone = ofQueries(widths, by);
        for (int g = 0; g < groups.size(); g++) {
            Group group = groups.get(g);
            if (blocks.isOut(group, widths)) {
                by.put(group, REMOVED);
            } else if (!weighed.contains(group) && !by.containsKey(group)) {
                LossCurve curve = scores.of(group);
                by.put(group, curve.by());
                gone.addAll(curve.gone(widths[g]));
            }
        }
        OnnxModel solved = of.model();
        if (importance instanceof Importance.OnData onData) {
            weighed.forEach(group -> by.put(group, onData.name()));
            try (LayerwiseChoice choice = choice(onData, widths, gone)) {
                choice.run(listener);
                gone.addAll(choice.gone());
                solved = choice.solved();
            }
        }
        List<Unit> removed = of.leavingSome(gone);
        OnnxModel slim = of.remove(removed, solved, blocks, widths);
        return new SlimResult(
                without(slim),
                rows(removed, by, spent),
                unit,
                of.groups(),
                ValuesLeft.of(
                        of.analysis(),
                        of.groups().choose(removed),
                        of.groups().choose(heads.some())));
    }

    /** The groups that are there and are read by layers that can be weighed. */
    private Set<Group> weighed(int[] widths) {
        return importance instanceof Importance.OnData
                ? ReadingLayer.readers(
                                blocks.out(of.model(), widths),
                                of.analysis().ends(),
                                groups.stream().filter(g -> !blocks.isOut(g, widths)).toList())
                        .groups()
                : Set.of();
    }

    /** Chooses beside what is gone already. */
    private LayerwiseChoice choice(Importance.OnData onData, int[] widths, List<Unit> gone) {
        Map<Group, Integer> byGroup = new LinkedHashMap<>();
        for (int g = 0; g < groups.size(); g++) {
            if (!blocks.isOut(groups.get(g), widths)) {
                byGroup.put(groups.get(g), widths[g]);
            }
        }
        Set<Place> ends = of.analysis().places();
        Map<String, ConstantTensor> zeroed =
                WithoutUnits.constants(
                        of.model().graph(),
                        gone,
                        place -> ends.contains(place) || heads.areMadeBy(place));
        return new LayerwiseChoice(
                of.model(),
                blocks.out(of.with(zeroed).model(), widths),
                of.analysis(),
                byGroup,
                onData.solves(),
                some());
    }

    /** What goes of the widths of queries and keys, which no layer reads. */
    private List<Unit> ofQueries(int[] widths, Map<Group, String> by) {
        List<Unit> gone = new ArrayList<>();
        for (int g = 0; g < groups.size(); g++) {
            Group group = groups.get(g);
            double[] losses = heads.losses().get(group);
            if (importance instanceof Importance.OnData
                    && losses != null
                    && !blocks.isOut(group, widths)) {
                List<Unit> units = group.units();
                gone.addAll(UnitWidths.lowest(units, losses, units.size() - widths[g]));
                by.put(group, BY_SCORES);
            }
        }
        return gone;
    }

    private OnnxModel without(OnnxModel slim) {
        boolean solves = importance instanceof Importance.OnData onData && onData.solves();
        return solves ? ConvolutionBiases.withoutZeros(slim) : slim;
    }

    private List<Row> rows(List<Unit> removed, Map<Group, String> by, Map<Group, GroupCost> spent) {
        Set<Unit> gone = new HashSet<>(removed);
        List<Row> rows = new ArrayList<>();
        for (Group group : of.groups().all()) {
            String words = by.getOrDefault(group, "not chosen");
            long left =
                    words.equals(REMOVED)
                            ? 0
                            : group.units().stream().filter(unit -> !gone.contains(unit)).count();
            rows.add(new Row(group, (int) left, words, Optional.ofNullable(spent.get(group))));
        }
        return rows;
    }

    @Override
    public void close() {
        if (data != null) {
            data.close();
        }
        unseen.forEach(batch -> batch.values().forEach(Tensor::releaseReference));
    }
}
