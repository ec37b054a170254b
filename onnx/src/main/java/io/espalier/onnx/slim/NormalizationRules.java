package io.espalier.onnx.slim;

import io.espalier.slim.Axis;
import io.espalier.slim.ChannelRules;
import io.espalier.slim.ChannelRules.Reduction;
import io.espalier.slim.NotUnderstood;

import java.util.Arrays;

/** Normalizations, and what else is computed over all channels of a dimension. */
final class NormalizationRules {
    private NormalizationRules() {}

    static void addTo(Rules rules) {
        rules.standard(NormalizationRules::batch, "BatchNormalization")
                .standard(ChannelRules::instanceNormalization, "InstanceNormalization")
                .standard(NormalizationRules::group, "GroupNormalization")
                .standard(NormalizationRules::lp, "LpNormalization")
                .standard(
                        call -> layer(call, 0, 1),
                        "LayerNormalization RMSNormalization SimplifiedLayerNormalization")
                .standard(NormalizationRules::softmax, "Softmax LogSoftmax Hardmax")
                .standard(NormalizationRules::reduce, "ReduceSum ReduceL1 ReduceL2 ReduceMean")
                .standard(NormalizationRules::reduce, "ReduceSumSquare ReduceMax ReduceMin")
                .standard(NormalizationRules::reduce, "ReduceProd ReduceLogSum ReduceLogSumExp");
        rules.microsoft(
                call -> layer(call, 1, 2),
                "SkipLayerNormalization SkipSimplifiedLayerNormalization");
    }

    private static void batch(Call call) {
        if (call.gives(1) || call.node.integer("training_mode", 0) != 0) {
            throw new NotUnderstood("it is in training");
        }
        ChannelRules.channelwise(call, 4);
    }

    private static void group(Call call) {
        long groups = call.node.integer("num_groups", 1);
        Axis axis = ChannelRules.groupNormalization(call, groups);
        call.rewrite((node, graph, choice) -> node.with("num_groups", choice.extent(axis, groups)));
    }

    private static void lp(Call call) {
        call.give(0, call.axes(0));
    }

    /** Over the last dimensions, of which scale and shift have one each; a sum may be first. */
    private static void layer(Call call, int summands, int scale) {
        boolean more = false;
        for (int i = 1; i < call.node.outputs().size(); i++) {
            more |= call.gives(i);
        }
        if (more) {
            throw new NotUnderstood("what it computes on its way is read too");
        }
        int rank = call.rank(0);
        int first = call.dimension("axis", -1, rank);
        for (int i = 1; i <= summands; i++) {
            for (int d = 0; d < rank; d++) {
                call.unite(call.axis(0, d), call.axis(i, d));
            }
        }
        ChannelRules.layerNormalization(call, first, scale);
    }

    /** Before version 13 all dimensions from one on are one. */
    private static void softmax(Call call) {
        boolean one = call.opset() >= 13;
        int rank = call.rank(0);
        int dimension = call.dimension("axis", one ? -1 : 1, rank);
        for (int d = dimension; d < (one ? dimension + 1 : rank); d++) {
            call.pin(call.axis(0, d));
        }
        call.give(0, call.axes(0));
    }

    private static void reduce(Call call) {
        int rank = call.rank(0);
        boolean[] reduced = LayoutRules.dimensions(call, "axes", 1, rank);
        boolean empty = !call.node.has("axes") && !call.has(1);
        if (empty && call.node.integer("noop_with_empty_axes", 0) != 0) {
            call.give(0, call.axes(0));
            return;
        }
        if (empty) {
            Arrays.fill(reduced, true);
        }
        boolean keep = call.node.integer("keepdims", 1) != 0;
        ChannelRules.reduce(call, reduced, keep, reduction(call.node.op()));
    }

    private static Reduction reduction(String op) {
        return switch (op) {
            case "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare" -> Reduction.SUM;
            case "ReduceMean", "ReduceMax", "ReduceMin" -> Reduction.OF_ALL;
            default -> Reduction.OTHER;
        };
    }
}
