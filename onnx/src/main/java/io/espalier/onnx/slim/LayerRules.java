package io.espalier.onnx.slim;

import io.espalier.onnx.slim.End.Side;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelFlow.Grouped;

import java.util.List;

/** Convolutions: their inputs end in a sum, their outputs begin. */
final class LayerRules {
    private LayerRules() {}

    static void addTo(Rules rules) {
        rules.standard(LayerRules::convolution, "Conv")
                .standard(LayerRules::transposed, "ConvTranspose");
    }

    /** Weight {@code [O, I/g, …]}. */
    private static void convolution(Call call) {
        long groups = call.node.integer("group", 1);
        call.leaveFrom(1, 2);
        call.pinFrom(0, 2);
        Axis inputs = call.axis(0, 1);
        Axis outputs = call.axis(1, 0);
        if (groups == 1) {
            call.unite(inputs, call.axis(1, 1));
        } else {
            Grouped in = call.flow.group(inputs, groups, call.extent(0, 1));
            Grouped out = call.flow.group(outputs, groups, call.extent(1, 0));
            call.unite(in.groups(), out.groups());
            call.unite(in.places(), call.axis(1, 1));
            writeGroups(call, in.groups(), groups);
        }
        call.ends(new End(call.node, new Side(0, 1), new Side(1, 1), groups));
        give(call, outputs);
    }

    /** Weight {@code [I, O/g, …]}. */
    private static void transposed(Call call) {
        long groups = call.node.integer("group", 1);
        call.leaveFrom(1, 2);
        call.pinFrom(0, 2);
        Axis inputs = call.axis(0, 1);
        Axis outputs = call.axis(1, 1);
        call.unite(inputs, call.axis(1, 0));
        if (groups > 1) {
            long each = call.extent(1, 1);
            Grouped in = call.flow.group(inputs, groups, call.extent(0, 1));
            outputs =
                    call.flow
                            .reshape(
                                    List.of(in.groups(), outputs),
                                    new long[] {groups, each},
                                    new long[] {groups * each})
                            .getFirst();
            writeGroups(call, in.groups(), groups);
        }
        call.ends(End.of(call.node, 0, 1, 1, 0));
        give(call, outputs);
    }

    private static void writeGroups(Call call, Axis axis, long groups) {
        call.rewrite((node, graph, choice) -> node.with("group", choice.extent(axis, groups)));
    }

    private static void give(Call call, Axis outputs) {
        if (call.has(2)) {
            call.unite(outputs, call.axis(2, 0));
        }
        List<Axis> result = new java.util.ArrayList<>(Call.plain(call.rank(0)));
        result.set(0, call.axis(0, 0));
        result.set(1, outputs);
        call.give(0, result);
    }
}
