package io.espalier.onnx.quant.half;

import static java.util.Map.entry;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Which operators a number may be rounded for: those that compute with it, or pass it on. What is
 * compared, counted by, or stands for a scale of integers has to be exact.
 */
final class HalfReaders {
    /** Of the inputs, any. */
    private static final Set<Integer> ALL = Set.of();

    private static final Map<String, Set<Integer>> PLACES =
            Map.ofEntries(
                    entry("Add", ALL),
                    entry("BatchNormalization", Set.of(1, 2, 3, 4)),
                    entry("Concat", ALL),
                    entry("Conv", Set.of(1, 2)),
                    entry("ConvTranspose", Set.of(1, 2)),
                    entry("Div", ALL),
                    entry("Einsum", ALL),
                    entry("Expand", Set.of(0)),
                    entry("Flatten", Set.of(0)),
                    entry("GRU", Set.of(1, 2, 3, 5)),
                    entry("Gather", Set.of(0)),
                    entry("GatherElements", Set.of(0)),
                    entry("GatherND", Set.of(0)),
                    entry("Gemm", ALL),
                    entry("GroupNormalization", Set.of(1, 2)),
                    entry("Identity", Set.of(0)),
                    entry("InstanceNormalization", Set.of(1, 2)),
                    entry("LSTM", Set.of(1, 2, 3, 5, 6, 7)),
                    entry("LayerNormalization", Set.of(1, 2)),
                    entry("MatMul", ALL),
                    entry("Mul", ALL),
                    entry("PRelu", Set.of(1)),
                    entry("Pad", Set.of(0)),
                    entry("RMSNormalization", Set.of(1)),
                    entry("RNN", Set.of(1, 2, 3, 5)),
                    entry("Reshape", Set.of(0)),
                    entry("ScatterElements", Set.of(0, 2)),
                    entry("ScatterND", Set.of(0, 2)),
                    entry("Slice", Set.of(0)),
                    entry("Split", Set.of(0)),
                    entry("Squeeze", Set.of(0)),
                    entry("Sub", ALL),
                    entry("Sum", ALL),
                    entry("Tile", Set.of(0)),
                    entry("Transpose", Set.of(0)),
                    entry("Unsqueeze", Set.of(0)),
                    entry("Where", Set.of(1, 2)));

    /** Of the runtime's own operators, which stand for several of the standard's. */
    private static final Map<String, Set<Integer>> OWN_PLACES =
            Map.ofEntries(
                    entry("Attention", Set.of(1, 2)),
                    entry("BiasGelu", ALL),
                    entry("EmbedLayerNormalization", Set.of(2, 3, 4, 5, 6)),
                    entry("FastGelu", ALL),
                    entry("FusedConv", Set.of(1, 2)),
                    entry("FusedGemm", ALL),
                    entry("FusedMatMul", ALL),
                    entry("MultiHeadAttention", Set.of(3)),
                    entry("SkipLayerNormalization", Set.of(2, 3, 4)));

    private HalfReaders() {}

    /** Whether a node, and the graphs inside it, take a value rounded wherever they read it. */
    static boolean take(OnnxNode reader, String value) {
        Map<String, Set<Integer>> places =
                reader.domain().isEmpty()
                        ? PLACES
                        : reader.domain().equals(OnnxNode.MICROSOFT) ? OWN_PLACES : Map.of();
        Set<Integer> allowed = places.get(reader.op());
        List<String> inputs = reader.inputs();
        for (int place = 0; place < inputs.size(); place++) {
            if (inputs.get(place).equals(value)
                    && (allowed == null || !(allowed.isEmpty() || allowed.contains(place)))) {
                return false;
            }
        }
        return reader.subgraphs().stream().allMatch(graph -> take(graph, value));
    }

    /** Whether all nodes of a graph do, and none of its results is the value itself. */
    static boolean take(GraphProto graph, String value) {
        for (NodeProto node : graph.getNodeList()) {
            if (!take(OnnxNode.of(node), value)) {
                return false;
            }
        }
        return graph.getOutputList().stream().noneMatch(o -> o.getName().equals(value));
    }
}
