package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Where a Slice begins and ends, by attributes or, in newer versions, by operands. */
final class SliceBounds {
    private SliceBounds() {}

    /** The node with other bounds of one of the dimensions that it names. */
    static OnnxNode set(OnnxNode node, OnnxGraph graph, int place, long first, long last) {
        if (node.has("starts")) {
            return node.with("starts", replaced(node.integers("starts"), place, first))
                    .with("ends", replaced(node.integers("ends"), place, last));
        }
        return node.withInput(1, constant(graph, node.input(1), place, first))
                .withInput(2, constant(graph, node.input(2), place, last));
    }

    private static List<Long> replaced(List<Long> list, int place, long by) {
        var other = new ArrayList<>(list);
        other.set(place, by);
        return other;
    }

    private static String constant(OnnxGraph graph, String name, int place, long by) {
        ConstantTensor old = Objects.requireNonNull(graph.constant(name));
        long[] values = old.toLongs();
        values[place] = by;
        return graph.addConstant(name, ExtentList.like(old, values));
    }
}
