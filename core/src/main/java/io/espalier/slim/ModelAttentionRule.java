package io.espalier.slim;

import io.espalier.nn.MultiheadAttention;

import java.util.ArrayList;
import java.util.List;

/**
 * A multi-head attention as one step: whole heads can go, and elements of its sequences; the places
 * within heads stay.
 */
final class ModelAttentionRule {
    private static final String ROOT = "scores are divided by the root of the heads' size";

    private final ModelCall call;
    private final MultiheadAttention attention;
    private final int inputs;

    private ModelAttentionRule(ModelCall call, MultiheadAttention attention, int inputs) {
        this.call = call;
        this.attention = attention;
        this.inputs = inputs;
    }

    /**
     * The rule.
     *
     * @param call with the layer's tensors after its inputs: the weight and the bias of the first
     *     map, then those of the last
     * @param inputs how many inputs it has
     */
    static void apply(ModelCall call, MultiheadAttention attention, int inputs) {
        new ModelAttentionRule(call, attention, inputs).apply();
    }

    private void apply() {
        int weight = inputs;
        int bias = inputs + 1;
        int outWeight = inputs + 2;
        int outBias = inputs + 3;
        Axis features = call.axis(weight, 1);
        int sequences = Math.min(inputs, 3);
        for (int i = 0; i < sequences; i++) {
            int last = call.rank(i) - 1;
            call.unite(features, call.axis(i, last));
            call.ends(i, last, weight, 1, 1);
        }
        call.unite(features, call.axis(outWeight, 0));
        if (call.has(outBias)) {
            call.unite(features, call.axis(outBias, 0));
        }
        Axis heads = heads(weight, 3);
        call.unite(heads, heads(outWeight, 1));
        if (call.has(bias)) {
            call.unite(heads, heads(bias, 3));
        }
        call.ends(outWeight, 1, -1, 0, 1);
        if (call.isUsed(1)) {
            call.markInexact(heads);
        }
        for (int i = 3; i < inputs; i++) {
            if (call.rank(i) == 3 && call.extent(i, 0) != 1) {
                call.pin(heads); // a mask may be one for each head
            }
        }
        give(features);
        long headSize = attention.headSize();
        long count = attention.numHeads();
        long size = attention.embedDim();
        call.resizes(
                cut -> new long[] {cut.extent(features, size), headSize, cut.extent(heads, count)});
        call.pinRest();
    }

    /** The heads along the wider dimension of one of the maps' tensors. */
    private Axis heads(int place, long parts) {
        int dimension = parts == 1 ? 1 : 0;
        long[] from = {call.extent(place, dimension)};
        long[] to = {parts, attention.numHeads(), attention.headSize()};
        List<Axis> split = call.flow().reshape(List.of(call.axis(place, dimension)), from, to);
        call.flow().pin(split.get(0), "");
        call.flow().pin(split.get(2), ROOT);
        return split.get(1);
    }

    private void give(Axis features) {
        List<Axis> result = call.axes(0);
        result.set(result.size() - 1, features);
        call.give(0, result);
        if (call.results() > 1) {
            call.give(1, new ArrayList<>(ChannelCall.plain(call.resultExtents(1).length)));
        }
    }
}
