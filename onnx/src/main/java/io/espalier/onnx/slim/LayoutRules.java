package io.espalier.onnx.slim;

import io.espalier.slim.Axis;
import io.espalier.slim.ChannelRules;
import io.espalier.slim.NotUnderstood;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Operators that change the order or the number of dimensions, and leave elements as they are. */
final class LayoutRules {
    private LayoutRules() {}

    static void addTo(Rules rules) {
        rules.standard(LayoutRules::reshape, "Reshape")
                .standard(LayoutRules::regroup, "Flatten Squeeze Unsqueeze")
                .standard(LayoutRules::transpose, "Transpose")
                .standard(LayoutRules::expand, "Expand")
                .standard(LayoutRules::tile, "Tile")
                .standard(LayoutRules::depthToSpace, "DepthToSpace")
                .standard(LayoutRules::spaceToDepth, "SpaceToDepth");
    }

    /** Which dimensions a list names; those of a list that is computed are not understood. */
    static boolean[] dimensions(Call call, String attribute, int place, int rank) {
        boolean[] named = new boolean[rank];
        if (!call.node.has(attribute) && !call.has(place)) {
            return named;
        }
        long[] list = call.longs(attribute, place);
        if (list == null) {
            throw new NotUnderstood("its dimensions are computed");
        }
        for (long dimension : list) {
            named[call.dimension(dimension, rank)] = true;
        }
        return named;
    }

    private static void reshape(Call call) {
        List<Axis> result = reshaped(call);
        if (call.node.has("shape")) {
            throw new NotUnderstood("it is of a version before 5");
        }
        writeExtents(call, 1, result, call.resultExtents(0));
        call.give(0, result);
    }

    private static void regroup(Call call) {
        call.give(0, reshaped(call));
    }

    private static List<Axis> reshaped(Call call) {
        return call.flow().reshape(call.axes(0), call.operand(0).extents(), call.resultExtents(0));
    }

    /**
     * Says how a list of a result's extents changes with its dimensions; where it can't, they are
     * pinned.
     */
    static void writeExtents(Call call, int place, List<Axis> axes, long[] extents) {
        ExtentList list = call.extentList(place);
        Map<Integer, Axis> written = new HashMap<>();
        int first = extents.length - list.length();
        for (int d = 0; d < extents.length; d++) {
            Axis axis = axes.get(d);
            Long element = d < first ? null : list.element(d - first);
            // No more than one is stretched, none and fewer are worked out.
            if (axis.isPlain() || (element != null && element <= 1)) {
                continue;
            }
            if (element == null || element != extents[d]) {
                call.pin(axis);
            } else {
                written.put(d, axis);
            }
        }
        if (written.isEmpty()) {
            return;
        }
        call.rewrite((node, graph, choice) -> {
            Map<Integer, ExtentList.Change> changes = new HashMap<>();
            written.forEach((d, axis) -> {
                long left = choice.extent(axis, extents[d]);
                if (left != extents[d]) {
                    changes.put(d - first, new ExtentList.Change(extents[d], left));
                }
            });
            return changes.isEmpty() ? node : node.withInput(place, list.with(graph, changes));
        });
    }

    private static void transpose(Call call) {
        int rank = call.rank(0);
        List<Long> order = call.node.integers("perm");
        call.give(
                0,
                IntStream.range(0, rank)
                        .map(d -> order.isEmpty() ? rank - 1 - d : order.get(d).intValue())
                        .mapToObj(d -> call.axis(0, d))
                        .toList());
    }

    private static void expand(Call call) {
        long[] extents = call.resultExtents(0);
        List<Axis> result = ChannelRules.broadcast(call, List.of(0), extents);
        writeExtents(call, 1, result, extents);
        call.give(0, result);
    }

    private static void tile(Call call) {
        long[] repeats = call.longs("repeats", 1);
        if (repeats == null) {
            throw new NotUnderstood("how often it repeats is computed");
        }
        call.give(0, call.axes(0));
    }

    private static void depthToSpace(Call call) {
        long block = call.node.integer("blocksize", 1);
        boolean blocksFirst = call.node.text("mode", "DCR").equals("DCR");
        ChannelRules.depthToSpace(call, block * block, blocksFirst);
    }

    private static void spaceToDepth(Call call) {
        call.pinFrom(0, 2);
        List<Axis> result = new ArrayList<>(Call.plain(4));
        result.set(0, call.axis(0, 0));
        result.set(1, call.axis(0, 1));
        call.give(0, result);
    }
}
