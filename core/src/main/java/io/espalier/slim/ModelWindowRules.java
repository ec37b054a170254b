package io.espalier.slim;

import io.espalier.graph.GraphOperator;

import java.util.List;

/** Pooling, resampling and padding: each channel by itself. */
final class ModelWindowRules {
    private ModelWindowRules() {}

    /** The rule of an operator that acts within channels. */
    static void apply(ModelCall call, GraphOperator operator) {
        switch (operator) {
            case PAD -> pad(call);
            case GRID_SAMPLER -> within(call, 2);
            case MAX_POOL1D,
                    AVG_POOL1D,
                    ADAPTIVE_AVG_POOL1D,
                    UPSAMPLE_NEAREST1D,
                    UPSAMPLE_LINEAR1D ->
                    within(call, 1);
            case MAX_POOL2D,
                    AVG_POOL2D,
                    ADAPTIVE_AVG_POOL2D,
                    UPSAMPLE_NEAREST2D,
                    UPSAMPLE_BILINEAR2D,
                    UPSAMPLE_BICUBIC2D ->
                    within(call, 2);
            case MAX_POOL3D, AVG_POOL3D, UPSAMPLE_NEAREST3D, UPSAMPLE_TRILINEAR3D ->
                    within(call, 3);
            default -> throw new NotUnderstood("no rule for " + operator);
        }
    }

    /** Over the last dimensions. */
    private static void within(ModelCall call, int dimensions) {
        int first = call.rank(0) - dimensions;
        call.pinFrom(0, first);
        List<Axis> result = call.axes(0);
        for (int d = first; d < result.size(); d++) {
            result.set(d, Axis.PLAIN);
        }
        call.give(0, result);
    }

    /** Two numbers for each dimension, the last dimension's first. */
    private static void pad(ModelCall call) {
        long[] sides = call.integers("pad");
        int rank = call.rank(0);
        boolean constant = call.operator().text("mode").equals("constant");
        List<Axis> result = call.axes(0);
        for (int i = 0; i < sides.length / 2; i++) {
            int d = rank - 1 - i;
            result.set(d, ChannelRules.padded(call, d, sides[2 * i], sides[2 * i + 1], constant));
        }
        call.give(0, result);
    }
}
