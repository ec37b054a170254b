package io.espalier.onnx.slim;

import io.espalier.onnx.fit.StreamBudget;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.slim.Group;
import io.espalier.slim.GroupCost;
import io.espalier.slim.LossCurve;
import io.espalier.slim.RemovableBlock;
import io.espalier.slim.Unit;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/** One slimming on its way: what groups lose, and the models of some widths. */
final class SlimmingRun implements AutoCloseable {
    private static final String REMOVED = "block removed";

    /** More examples make the choice no better. */
    private static final int MOST_EXAMPLES = 1024;

    /** Enough to see which groups the results hang on. */
    private static final int PROBES = 16;

    /** Enough for an average of what a block gives. */
    private static final int MEANS = 128;

    private final OnnxSlimmer of;
    private final Importance importance;
    private final Slimming.Listener listener;
    private final List<Group> groups;
    private final @Nullable CalibrationData data;
    private final @Nullable UnseenRows unseen;
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
            OnnxSlimmer of,
            Importance importance,
            boolean wholeBlocks,
            Slimming.Listener listener) {
        this.of = of;
        this.importance = importance;
        this.listener = listener;
        groups = of.independent();
        listener.at("running the model", 0, 1);
        data =
                importance
                        .data()
                        .map(inputs -> CalibrationData.read(of.model(), inputs, MOST_EXAMPLES))
                        .orElse(null);
        unseen =
                importance instanceof Importance.OnData
                        ? new UnseenRows(of.model().graph(), data())
                        : null;
        scores = new UnitScores(of, importance, groups, Optional.ofNullable(data), listener);
        blocks =
                wholeBlocks && importance instanceof Importance.OnData
                        ? LeftOutBlocks.of(of, groups, first(data(), MEANS))
                        : LeftOutBlocks.none(of, groups);
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

    /** As much of it, and of what else may come, as goes through the model at once. */
    private List<Map<String, Tensor>> some() {
        List<Map<String, Tensor>> all = new ArrayList<>(data());
        if (unseen != null) {
            all.addAll(unseen.batches());
        }
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

    /** What is lost of each group, by how many of its units are gone. */
    List<double[]> losses() {
        Map<Group, LossCurve> curves = new HashMap<>();
        if (importance instanceof Importance.OnData onData) {
            var readers =
                    ReadingLayer.readers(of.model(), of.analysis().ends(), groups, new HashMap<>());
            curves.putAll(
                    new LossCurves(of, readers, onData.solves(), probes()::drop)
                            .of(some(), listener));
        }
        return groups.stream()
                .map(group -> curves.computeIfAbsent(group, scores::of).losses())
                .toList();
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
            int block = b;
            listener.at("finding what blocks lose", b, blocks.count());
            int[] without = new int[groups.size() + blocks.count()];
            Arrays.setAll(without, place -> place == groups.size() + block ? 0 : 1);
            List<Integer> within =
                    IntStream.range(0, groups.size())
                            .filter(g -> blocks.contains(block, groups.get(g)))
                            .boxed()
                            .toList();
            double drop = probes().drop(blocks.out(of.model(), without));
            losses.add(new RemovableBlock(within, drop));
        }
        return losses;
    }

    /** The model whose groups, and the blocks behind them, have these widths. */
    SlimResult at(int[] widths, Map<Group, GroupCost> spent, String unit) {
        List<Unit> gone = new ArrayList<>();
        Map<Group, String> by = new HashMap<>();
        OnnxModel solved = of.model();
        if (importance instanceof Importance.OnData onData) {
            Map<Group, Integer> byGroup = new LinkedHashMap<>();
            for (int g = 0; g < groups.size(); g++) {
                if (!blocks.isOut(groups.get(g), widths)) {
                    byGroup.put(groups.get(g), widths[g]);
                }
            }
            List<End> ends = of.analysis().ends();
            OnnxModel without = blocks.out(of.model(), widths);
            try (var choice =
                    new LayerwiseChoice(
                            of.model(), without, ends, byGroup, onData.solves(), some())) {
                choice.run(listener);
                gone.addAll(choice.gone());
                solved = choice.solved();
                groups.stream()
                        .filter(choice::knows)
                        .forEach(group -> by.put(group, onData.name()));
            }
        }
        for (int g = 0; g < groups.size(); g++) {
            if (blocks.isOut(groups.get(g), widths)) {
                by.put(groups.get(g), REMOVED);
            } else if (!by.containsKey(groups.get(g))) {
                LossCurve curve = scores.of(groups.get(g));
                by.put(groups.get(g), curve.by());
                gone.addAll(curve.gone(widths[g]));
            }
        }
        List<Unit> removed = of.leavingSome(gone);
        OnnxModel slim = of.remove(removed, solved, blocks, widths);
        return new SlimResult(without(slim), rows(removed, by, spent), unit, of.groups());
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
        if (unseen != null) {
            unseen.close();
        }
    }
}
