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

/** What channels add everywhere the same, added by biases instead, so that nobody needs them. */
final class BiasFolding {
    private final PrunedUnits pruned;
    private final Map<OnnxNode, float[]> shifts = new LinkedHashMap<>();
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
        float[] shift = Objects.requireNonNull(pruned.shift(meeting));
        // A channel that several units take along is folded once.
        List<Integer> taken = channels.computeIfAbsent(node, k -> new ArrayList<>());
        if (taken.contains(meeting.index())) {
            return;
        }
        taken.add(meeting.index());
        float[] sum = shifts.computeIfAbsent(node, k -> new float[shift.length]);
        for (int o = 0; o < sum.length; o++) {
            sum[o] += shift[o];
        }
    }

    private void rewrite(OnnxGraph graph) {
        shifts.forEach((node, shift) -> {
            clear(graph, node);
            if (node.is("MatMul")) {
                addAfter(graph, node, shift);
            } else {
                addBias(graph, node, shift);
            }
        });
    }

    private void clear(OnnxGraph graph, OnnxNode node) {
        String name = node.input(1);
        ConstantTensor weight = Objects.requireNonNull(graph.constant(name));
        int dimension = node.is("Conv") || node.integer("transB", 0) != 0 ? 1 : 0;
        var slices = new WeightSlices(weight, dimension, node.integer("group", 1));
        float[] numbers = weight.toFloats();
        for (int channel : channels.getOrDefault(node, List.of())) {
            slices.clear(channel, numbers);
        }
        graph.setConstant(name, ConstantTensor.floats(weight.shape(), numbers));
    }

    private static void addBias(OnnxGraph graph, OnnxNode node, float[] shift) {
        float[] bias = shift.clone();
        ConstantTensor old = graph.constant(node.input(2));
        float[] before = old == null ? new float[1] : old.toFloats();
        for (int o = 0; o < bias.length; o++) {
            bias[o] += before[before.length == 1 ? 0 : o];
        }
        String name =
                graph.addConstant(
                        node.name() + "_bias",
                        ConstantTensor.floats(List.of((long) bias.length), bias));
        graph.replace(node, node.withInputs(List.of(node.input(0), node.input(1), name)));
    }

    private static void addAfter(OnnxGraph graph, OnnxNode node, float[] shift) {
        String name =
                graph.addConstant(
                        node.name() + "_bias",
                        ConstantTensor.floats(List.of((long) shift.length), shift));
        String product = graph.freshName(node.output() + "_product");
        graph.replace(
                node,
                node.withOutputs(List.of(product)),
                OnnxNode.of("Add", List.of(product, name), node.output()));
    }
}
