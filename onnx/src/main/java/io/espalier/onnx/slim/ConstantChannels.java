package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.KnownNumbers;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/**
 * Which channels are the same number everywhere, because all weights before them are zero: found
 * layer by layer, what lies between computed by the runtime on one number for each channel.
 */
final class ConstantChannels {
    private final OnnxModel model;
    private final OnnxGraph graph;
    private final Analysis analysis;
    private final Map<String, KnownNumbers> known = new HashMap<>();

    private ConstantChannels(OnnxModel model, Analysis analysis) {
        this.model = model;
        this.analysis = analysis;
        graph = model.graph();
    }

    /** The known channels by value; a value that has none is left out. */
    static Map<String, KnownNumbers> of(OnnxModel model, Analysis analysis) {
        var channels = new ConstantChannels(model, analysis);
        for (OnnxNode node : model.graph().nodes()) {
            for (int place = 0; place < node.outputs().size(); place++) {
                KnownNumbers given =
                        node.subgraphs().isEmpty() ? channels.given(node, place) : null;
                if (given != null && given.isAny()) {
                    channels.known.put(node.output(place), given);
                }
            }
        }
        return channels.known;
    }

    private @Nullable KnownNumbers given(OnnxNode node, int place) {
        ChannelValue first = analysis.value(node.input(0));
        long[] extents = analysis.extents(node.output(place));
        if (first == null || extents == null || (place > 0 && !node.is("Split"))) {
            return null;
        }
        ConstantLayer layer = ConstantLayer.of(graph, node, first.rank());
        if (layer != null) {
            return layer.outputs(known.get(node.input(0)));
        }
        if (node.inputs().stream().noneMatch(known::containsKey)) {
            return null;
        }
        if (ElementwiseRules.isElementwise(node) || isNormalization(node)) {
            return new ChannelwiseRun(model, analysis, node).of(known);
        }
        if (!node.domain().isEmpty() || node.is("Concat")) {
            return node.is("Concat") ? joined(node, first.rank()) : null;
        }
        KnownNumbers in = known.get(node.input(0));
        return in == null ? null : new MovedChannels(analysis, node, place).of(in);
    }

    /** Whether a node normalizes each channel by itself. */
    static boolean isNormalization(OnnxNode node) {
        return node.is("BatchNormalization") || node.is("InstanceNormalization");
    }

    private @Nullable KnownNumbers joined(OnnxNode node, int rank) {
        long axis = node.integer("axis", 0);
        int dimension = (int) (axis < 0 ? axis + rank : axis);
        long[] extents = analysis.extents(node.output());
        if (extents == null || extents[dimension] > Integer.MAX_VALUE) {
            return null;
        }
        double[] numbers = new double[(int) extents[dimension]];
        int at = 0;
        for (String part : node.inputs()) {
            long[] own = Objects.requireNonNull(analysis.extents(part));
            KnownNumbers channels = known.get(part);
            for (int i = 0; i < own[dimension]; i++) {
                boolean along = channels != null && channels.dimension() == dimension;
                numbers[at++] = along && channels != null ? channels.numbers()[i] : Double.NaN;
            }
        }
        return new KnownNumbers(dimension, numbers);
    }
}
