package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.slim.PrunedUnits.Meeting;
import io.espalier.slim.Unit;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/** What channels add everywhere the same, added by biases instead, so that nobody needs them. */
final class BiasFolding {
    private final PrunedUnits pruned;
    private final Map<OnnxNode, double[]> shifts = new LinkedHashMap<>();
    private final Map<OnnxNode, List<Integer>> channels = new LinkedHashMap<>();

    private BiasFolding(PrunedUnits pruned) {
        this.pruned = pruned;
    }

    /** A model that gives the same, in which these units add nothing. */
    static OnnxModel of(OnnxModel model, PrunedUnits pruned, List<Unit> units) {
        var folding = new BiasFolding(pruned);
        for (Unit unit : units) {
            pruned.meetings(unit).stream().filter(pruned::isShift).forEach(folding::take);
        }
        return folding.shifts.isEmpty() ? model : model.rewritten(folding::rewrite);
    }

    private void take(Meeting meeting) {
        OnnxNode node = meeting.end().node();
        double[] shift = Objects.requireNonNull(pruned.shift(meeting));
        // A channel that several units take along is folded once.
        List<Integer> taken = channels.computeIfAbsent(node, k -> new ArrayList<>());
        if (taken.contains(meeting.index())) {
            return;
        }
        taken.add(meeting.index());
        double[] sum = shifts.computeIfAbsent(node, k -> new double[shift.length]);
        for (int o = 0; o < sum.length; o++) {
            sum[o] += shift[o];
        }
    }

    private void rewrite(OnnxGraph graph) {
        shifts.forEach((node, shift) -> {
            ConstantTensor weight = Objects.requireNonNull(graph.constant(node.input(1)));
            clear(graph, node, weight);
            ConstantTensor numbers =
                    RealNumbers.like(
                            weight, List.of((long) shift.length), biased(graph, node, shift));
            String bias = graph.addConstant(node.name() + "_bias", numbers);
            if (node.is("MatMul")) {
                addAfter(graph, node, bias);
            } else {
                graph.replace(node, node.withInputs(List.of(node.input(0), node.input(1), bias)));
            }
        });
    }

    private void clear(OnnxGraph graph, OnnxNode node, ConstantTensor weight) {
        int dimension = node.is("Conv") || node.integer("transB", 0) != 0 ? 1 : 0;
        var slices = new WeightSlices(weight, dimension, node.integer("group", 1));
        double[] numbers = RealNumbers.of(weight);
        for (int channel : channels.getOrDefault(node, List.of())) {
            slices.clear(channel, numbers);
        }
        graph.setConstant(node.input(1), RealNumbers.like(weight, weight.shape(), numbers));
    }

    /** What a layer's bias adds with that. */
    private static double[] biased(OnnxGraph graph, OnnxNode node, double[] shift) {
        ConstantTensor bias = graph.constant(node.input(2));
        double[] before = bias == null ? new double[1] : RealNumbers.of(bias);
        return IntStream.range(0, shift.length)
                .mapToDouble(o -> shift[o] + before[before.length == 1 ? 0 : o])
                .toArray();
    }

    private static void addAfter(OnnxGraph graph, OnnxNode node, String bias) {
        String product = graph.freshName(node.output() + "_product");
        graph.replace(
                node,
                node.withOutputs(List.of(product)),
                OnnxNode.of("Add", List.of(product, bias), node.output()));
    }
}
