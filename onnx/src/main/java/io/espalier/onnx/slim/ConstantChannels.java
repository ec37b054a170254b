package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.ChannelValue;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * Which channels are the same number everywhere, because all weights before them are zero: found
 * layer by layer, what lies between computed by the runtime on one number for each channel.
 */
final class ConstantChannels {
    /** Operators that make of a channel that is one number everywhere the same again. */
    private static final Set<String> KEEPING =
            Set.of("GlobalAveragePool", "GlobalMaxPool", "MaxPool");

    private final OnnxModel model;
    private final OnnxGraph graph;
    private final Analysis analysis;
    private final Map<String, KnownChannels> known = new HashMap<>();

    private ConstantChannels(OnnxModel model, Analysis analysis) {
        this.model = model;
        this.analysis = analysis;
        graph = model.graph();
    }

    /** The known channels by value; a value that has none is left out. */
    static Map<String, KnownChannels> of(OnnxModel model, Analysis analysis) {
        var channels = new ConstantChannels(model, analysis);
        for (OnnxNode node : model.graph().nodes()) {
            KnownChannels given = node.subgraphs().isEmpty() ? channels.given(node) : null;
            if (given != null && given.isAny()) {
                channels.known.put(node.output(), given);
            }
        }
        return channels.known;
    }

    private @Nullable KnownChannels given(OnnxNode node) {
        ChannelValue first = analysis.value(node.input(0));
        long[] extents = analysis.extents(node.output());
        if (first == null || extents == null) {
            return null;
        }
        KnownChannels in = known.get(node.input(0));
        ConstantLayer layer = ConstantLayer.of(graph, node, first.rank());
        if (layer != null) {
            return layer.outputs(in);
        }
        if (node.inputs().stream().noneMatch(known::containsKey)) {
            return null;
        }
        if (ElementwiseRules.isElementwise(node) || isNormalization(node)) {
            return new ChannelwiseRun(model, analysis, node).of(known);
        }
        return node.domain().isEmpty() ? moved(node, first, extents) : null;
    }

    private @Nullable KnownChannels moved(OnnxNode node, ChannelValue first, long[] extents) {
        KnownChannels in = known.get(node.input(0));
        return switch (node.op()) {
            case "Concat" -> joined(node, first.rank());
            case "Transpose" -> transposed(node, in, first.rank());
            case "Reshape", "Flatten", "Squeeze", "Unsqueeze" ->
                    in == null ? null : reshaped(in, first.extents(), extents);
            default -> KEEPING.contains(node.op()) || isAverageWithin(node) ? in : null;
        };
    }

    /** Whether a node normalizes each channel by itself. */
    static boolean isNormalization(OnnxNode node) {
        return node.is("BatchNormalization") || node.is("InstanceNormalization");
    }

    private static boolean isAverageWithin(OnnxNode node) {
        return node.is("AveragePool")
                && (node.integer("count_include_pad", 0) == 0
                        || node.integers("pads").stream().allMatch(pad -> pad == 0));
    }

    private @Nullable KnownChannels joined(OnnxNode node, int rank) {
        long axis = node.integer("axis", 0);
        int dimension = (int) (axis < 0 ? axis + rank : axis);
        long[] extents = analysis.extents(node.output());
        if (extents == null || extents[dimension] > Integer.MAX_VALUE) {
            return null;
        }
        float[] numbers = new float[(int) extents[dimension]];
        int at = 0;
        for (String part : node.inputs()) {
            long[] own = Objects.requireNonNull(analysis.extents(part));
            KnownChannels channels = known.get(part);
            for (int i = 0; i < own[dimension]; i++) {
                boolean along = channels != null && channels.dimension() == dimension;
                numbers[at++] = along && channels != null ? channels.numbers()[i] : Float.NaN;
            }
        }
        return new KnownChannels(dimension, numbers);
    }

    private static @Nullable KnownChannels transposed(
            OnnxNode node, @Nullable KnownChannels in, int rank) {
        if (in == null) {
            return null;
        }
        List<Long> order = node.integers("perm");
        int to = order.isEmpty() ? rank - 1 - in.dimension() : order.indexOf((long) in.dimension());
        return new KnownChannels(to, in.numbers());
    }

    /** Where the channels stay one dimension, or are joined with those after them. */
    private static @Nullable KnownChannels reshaped(KnownChannels in, long[] from, long[] to) {
        long before = product(from, in.dimension());
        int channels = in.numbers().length;
        for (int d = 0; d < to.length; d++) {
            boolean starts = product(to, d) == before && to[d] >= channels && to[d] > 1;
            if (starts && to[d] % channels == 0 && to[d] < Integer.MAX_VALUE) {
                int each = (int) to[d] / channels;
                float[] numbers = new float[(int) to[d]];
                for (int i = 0; i < numbers.length; i++) {
                    numbers[i] = in.numbers()[i / each];
                }
                return new KnownChannels(d, numbers);
            }
        }
        return null;
    }

    private static long product(long[] extents, int count) {
        return Arrays.stream(extents, 0, count).reduce(1, (a, b) -> a * b);
    }
}
