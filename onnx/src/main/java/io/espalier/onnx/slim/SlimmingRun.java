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
import io.espalier.slim.Unit;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** One slimming on its way: what groups lose, and the models of some widths. */
final class SlimmingRun implements AutoCloseable {
    /** More examples make the choice no better. */
    private static final int MOST_EXAMPLES = 1024;

    /** Enough to see which groups the results hang on. */
    private static final int PROBES = 16;

    private final OnnxSlimmer of;
    private final Importance importance;
    private final Slimming.Listener listener;
    private final List<Group> groups;
    private final @Nullable CalibrationData data;
    private final @Nullable UnseenRows unseen;
    private final UnitScores scores;

    SlimmingRun(OnnxSlimmer of, Importance importance, Slimming.Listener listener) {
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
    }

    /** The groups that get narrower. */
    List<Group> groups() {
        return groups;
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
            int threads = Runtime.getRuntime().availableProcessors();
            var reference = ReferenceOutputs.of(of.model(), first(data(), PROBES), threads);
            curves.putAll(
                    new LossCurves(of.model(), readers, onData.solves(), reference::drop)
                            .of(some(), listener));
        }
        return groups.stream()
                .map(group -> curves.computeIfAbsent(group, scores::of).losses())
                .toList();
    }

    /** The model whose groups have these widths. */
    SlimResult at(int[] widths, Map<Group, GroupCost> spent, String unit) {
        List<Unit> gone = new ArrayList<>();
        Map<Group, String> by = new HashMap<>();
        OnnxModel solved = of.model();
        if (importance instanceof Importance.OnData onData) {
            Map<Group, Integer> byGroup = new LinkedHashMap<>();
            for (int g = 0; g < widths.length; g++) {
                byGroup.put(groups.get(g), widths[g]);
            }
            List<End> ends = of.analysis().ends();
            try (var choice =
                    new LayerwiseChoice(of.model(), ends, byGroup, onData.solves(), some())) {
                choice.run(listener);
                gone.addAll(choice.gone());
                solved = choice.solved();
                groups.stream()
                        .filter(choice::knows)
                        .forEach(group -> by.put(group, onData.name()));
            }
        }
        for (int g = 0; g < widths.length; g++) {
            if (!by.containsKey(groups.get(g))) {
                LossCurve curve = scores.of(groups.get(g));
                by.put(groups.get(g), curve.by());
                gone.addAll(curve.gone(widths[g]));
            }
        }
        List<Unit> removed = of.leavingSome(gone);
        OnnxModel slim = of.remove(removed, solved);
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
            long left = group.units().stream().filter(unit -> !gone.contains(unit)).count();
            String words = by.getOrDefault(group, "not chosen");
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
