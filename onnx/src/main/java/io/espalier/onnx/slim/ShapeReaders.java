package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import java.util.Arrays;

/** Which extents of a shape are taken by the nodes that read it. */
final class ShapeReaders {
    private ShapeReaders() {}

    static boolean[] of(Call shape, int count) {
        boolean[] wanted = new boolean[count];
        OnnxGraph graph = shape.graph();
        String value = shape.node.output();
        if (graph.isOutput(value)) {
            Arrays.fill(wanted, true);
        }
        for (OnnxNode reader : graph.readers(value)) {
            mark(graph, reader, wanted);
        }
        return wanted;
    }

    private static void mark(OnnxGraph graph, OnnxNode reader, boolean[] wanted) {
        long[] first = constant(graph, reader, 1);
        long[] last = constant(graph, reader, 2);
        long[] steps = constant(graph, reader, 4);
        int count = wanted.length;
        if (reader.is("Gather") && first.length > 0) {
            for (long index : first) {
                wanted[Math.floorMod(index, count)] = true;
            }
        } else if (reader.is("Slice")
                && first.length == 1
                && last.length == 1
                && (reader.input(4).isEmpty() || (steps.length == 1 && steps[0] == 1))) {
            int from = Math.clamp(fromFirst(first[0], count), 0, count);
            int to = Math.clamp(fromFirst(last[0], count), from, count);
            Arrays.fill(wanted, from, to, true);
        } else {
            Arrays.fill(wanted, true);
        }
    }

    private static long fromFirst(long index, int count) {
        return index < 0 ? index + count : index;
    }

    private static long[] constant(OnnxGraph graph, OnnxNode node, int place) {
        ConstantTensor constant = graph.constant(node.input(place));
        return constant == null || constant.type().isFloating() ? new long[0] : constant.toLongs();
    }
}
