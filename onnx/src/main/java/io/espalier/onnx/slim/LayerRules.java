package io.espalier.onnx.slim;

import io.espalier.slim.Axis;
import io.espalier.slim.ChannelRules;

/** Convolutions: their inputs end in a sum, their outputs begin. */
final class LayerRules {
    private LayerRules() {}

    static void addTo(Rules rules) {
        rules.standard(LayerRules::convolution, "Conv")
                .standard(LayerRules::transposed, "ConvTranspose");
    }

    private static void convolution(Call call) {
        long groups = call.node.integer("group", 1);
        boolean padded = call.node.integers("pads").stream().anyMatch(pad -> pad != 0);
        writeGroups(call, ChannelRules.convolution(call, groups, padded), groups);
    }

    private static void transposed(Call call) {
        long groups = call.node.integer("group", 1);
        writeGroups(call, ChannelRules.transposedConvolution(call, groups), groups);
    }

    private static void writeGroups(Call call, Axis axis, long groups) {
        if (groups > 1) {
            call.rewrite((node, graph, choice) -> node.with("group", choice.extent(axis, groups)));
        }
    }
}
