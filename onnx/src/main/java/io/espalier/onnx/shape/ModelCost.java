package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.FunctionCalls;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ToLongFunction;

/**
 * What a model costs in one run, node by node, counted and not measured.
 *
 * @param inputs the extents of the inputs that it is counted for
 * @param rows one for each node, in the order of the graph
 * @param weightBytes bytes of all constants, by the type of their elements
 */
public record ModelCost(
        Map<String, List<Long>> inputs, List<Row> rows, Map<ElementType, Long> weightBytes) {
    /**
     * What one node costs.
     *
     * @param results the types of what it gives
     * @param parameters elements of the weights that it is the first to read, graphs inside it
     *     included; integers of 64 bits, truths and single numbers are no weights
     * @param macs multiplications, each with an addition; those by elements, and those of graphs
     *     inside a node, are not counted
     * @param bytes what is read and written: operands, weights and results; nothing for what only
     *     gives the same elements other extents
     * @param isKnown whether extents of its operands and results are known; otherwise MACs and
     *     bytes are less than they should be
     * @param isCounted whether what its MACs are counted from is known
     */
    public record Row(
            OnnxNode node,
            List<ValueType> results,
            long parameters,
            long macs,
            long bytes,
            boolean isKnown,
            boolean isCounted) {}

    /** Copies the lists. */
    public ModelCost {
        inputs = Map.copyOf(inputs);
        rows = List.copyOf(rows);
        weightBytes = Map.copyOf(weightBytes);
    }

    /**
     * The cost of a run with one sample. Other free dimensions are 128, and those of images 224 by
     * 224, or another usual size where the model doesn't take that.
     */
    public static ModelCost of(OnnxModel model) {
        return of(model, Map.of());
    }

    /**
     * The cost of a run with inputs of these extents; of those that are not given, free dimensions
     * are as if none were. Inputs with a default are that, and functions cost what they consist of.
     *
     * @throws io.espalier.tensor.EspalierException if the model has no such input, or takes none of
     *     these extents
     */
    public static ModelCost of(OnnxModel model, Map<String, List<Long>> inputs) {
        OnnxModel fixed = model.withDefaultsTaken(inputs.keySet());
        OnnxModel flat = fixed.functions().isEmpty() ? fixed : FunctionCalls.inline(fixed).model();
        Map<String, List<Long>> extents = TypicalExtents.of(flat, inputs);
        return of(flat, extents, Shapes.of(flat, extents));
    }

    private static ModelCost of(OnnxModel model, Map<String, List<Long>> inputs, Shapes shapes) {
        var weights = new Weights(model.graph());
        Set<String> counted = new HashSet<>();
        List<Row> rows = new ArrayList<>();
        for (OnnxNode node : model.graph().nodes()) {
            var cost = new NodeCost(node, shapes, weights);
            long parameters = weights.inside(node);
            for (String weight : weights.readBy(node)) {
                parameters += counted.add(weight) ? cost.parameters(weight) : 0;
            }
            List<ValueType> results = node.outputs().stream().map(shapes::type).toList();
            long macs = cost.macs();
            boolean isCounted = cost.isKnown();
            long moved = cost.bytes();
            rows.add(new Row(node, results, parameters, macs, moved, cost.isKnown(), isCounted));
        }
        var bytes = new EnumMap<ElementType, Long>(ElementType.class);
        for (ConstantTensor constant : weights.all()) {
            bytes.merge(constant.type(), constant.byteSize(), Long::sum);
        }
        return new ModelCost(inputs, rows, bytes);
    }

    /** All weights' elements, each counted once. */
    public long parameters() {
        return sum(Row::parameters);
    }

    /** All multiplications. */
    public long macs() {
        return sum(Row::macs);
    }

    /** All bytes read and written. */
    public long bytes() {
        return sum(Row::bytes);
    }

    /** The nodes of which not all is known, so that the sums are less than they should be. */
    public List<OnnxNode> unknown() {
        return rows.stream().filter(row -> !row.isKnown).map(Row::node).toList();
    }

    /** The nodes whose MACs can't be counted, so that the sum is less than it should be. */
    public List<OnnxNode> uncounted() {
        return rows.stream().filter(row -> !row.isCounted).map(Row::node).toList();
    }

    private long sum(ToLongFunction<Row> of) {
        return rows.stream().mapToLong(of).reduce(0, NodeCost::saturatedSum);
    }
}
