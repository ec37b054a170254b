package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Extent;
import io.espalier.onnx.shape.Shapes;

import org.jspecify.annotations.Nullable;

import java.util.List;

/**
 * Channels shuffled by a reshape, a transpose and a reshape back: taken by their indices instead,
 * so that each can go by itself and not only with its whole row.
 */
final class ChannelShuffles {
    private static final List<Long> ROWS_AND_COLUMNS = List.of(0L, 2L, 1L, 3L, 4L);

    private ChannelShuffles() {}

    static OnnxModel asGather(OnnxModel model) {
        Shapes shapes = Shapes.of(model);
        return model.rewritten(graph -> {
            for (OnnxNode node : graph.nodes()) {
                OnnxNode gather = node.is("Transpose") ? gather(graph, shapes, node) : null;
                if (gather != null) {
                    OnnxNode last = graph.producer(gather.output());
                    if (last != null) {
                        graph.replace(last, gather);
                    }
                }
            }
            graph.removeUnused();
        });
    }

    /** The node that gives what the reshape after a transpose does; null if it shuffles nothing. */
    private static @Nullable OnnxNode gather(OnnxGraph graph, Shapes shapes, OnnxNode transpose) {
        OnnxNode first = graph.producer(transpose.input(0));
        OnnxNode last = graph.onlyReader(transpose.output());
        if (first == null
                || last == null
                || !first.is("Reshape")
                || !last.is("Reshape")
                || !transpose.integers("perm").equals(ROWS_AND_COLUMNS)) {
            return null;
        }
        List<Extent> before = shapes.shape(first.input(0));
        List<Extent> table = shapes.shape(first.output());
        List<Extent> after = shapes.shape(last.output());
        if (before == null
                || table == null
                || before.size() != 4
                || !before.equals(after)
                || !isTable(before, table)) {
            return null;
        }
        int rows = (int) table.get(1).value();
        int columns = (int) table.get(2).value();
        long[] indices = new long[rows * columns];
        for (int i = 0; i < indices.length; i++) {
            indices[i] = (long) (i % rows) * columns + i / rows;
        }
        String order =
                graph.addConstant(
                        last.output() + "_order",
                        ConstantTensor.longs(List.of((long) indices.length), indices));
        return OnnxNode.of("Gather", List.of(first.input(0), order), last.output())
                .with("axis", 1)
                .withName(last.name());
    }

    private static boolean isTable(List<Extent> before, List<Extent> table) {
        return table.size() == 5
                && before.get(0).equals(table.get(0))
                && before.get(2).equals(table.get(3))
                && before.get(3).equals(table.get(4))
                && before.get(1).isKnown()
                && table.get(1).isKnown()
                && table.get(2).isKnown();
    }
}
