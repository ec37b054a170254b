package io.espalier.onnx.shape;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;

/** The same elements under other extents. */
final class LayoutRules {
    private LayoutRules() {}

    static void addTo(Rules rules) {
        rules.standard(LayoutRules::reshape, "Reshape")
                .standard(LayoutRules::flatten, "Flatten")
                .standard(LayoutRules::squeeze, "Squeeze")
                .standard(LayoutRules::unsqueeze, "Unsqueeze")
                .standard(LayoutRules::transpose, "Transpose")
                .standard(call -> depth(call, true), "DepthToSpace")
                .standard(call -> depth(call, false), "SpaceToDepth")
                .standard(ElementwiseRules::same, "ReverseSequence");
    }

    static Extent product(List<Extent> extents) {
        return extents.stream().reduce(Extent.ONE, Extent::times);
    }

    private static void reshape(Call call) {
        call.give(0, call.type(0));
        if (call.rank(1) != 1) {
            throw new Undecided();
        }
        long rank = Call.known(call.shape(1).getFirst());
        call.give(0, call.unknowns(rank));
        List<Extent> wanted = call.wholes(1);
        boolean copies = call.node.integer("allowzero", 0) == 0;
        var shape = new ArrayList<Extent>();
        int open = -1;
        int opened = 0;
        for (int dim = 0; dim < rank; dim++) {
            Extent length = wanted.get(dim);
            if (length.is(0) && copies) {
                length = call.extent(0, dim);
            }
            if (length.least() < 0) {
                open = dim;
                opened++;
            }
            shape.add(length);
        }
        if (opened == 1) {
            shape.set(open, Extent.ONE);
            Extent rest = product(shape);
            Extent all = call.operand(0).shape() == null ? null : product(call.shape(0));
            shape.set(open, all == null || rest.is(0) ? call.unknown() : all.over(rest));
        } else {
            shape.replaceAll(length -> length.least() < 0 ? call.unknown() : length);
        }
        call.give(0, shape);
    }

    private static void flatten(Call call) {
        call.give(0, call.type(0));
        List<Extent> shape = call.shape(0);
        long axis = call.node.integer("axis", 1);
        int at = axis == shape.size() ? shape.size() : Call.axis(axis, Math.max(shape.size(), 1));
        call.give(
                0,
                List.of(product(shape.subList(0, at)), product(shape.subList(at, shape.size()))));
    }

    private static void squeeze(Call call) {
        call.give(0, call.type(0));
        giveRank(call, -1);
        List<Long> axes = call.longs("axes", 1);
        List<Extent> shape = call.shape(0);
        var dropped = new HashSet<Integer>();
        if (axes != null) {
            axes.forEach(axis -> dropped.add(Call.axis(axis, shape.size())));
        }
        var kept = new ArrayList<Extent>();
        for (int dim = 0; dim < shape.size(); dim++) {
            Extent extent = shape.get(dim);
            if (axes == null ? Call.known(extent) != 1 : !dropped.contains(dim)) {
                kept.add(extent);
            } else if (extent.isKnown() && !extent.is(1)) {
                throw new Undecided();
            }
        }
        call.give(0, kept);
    }

    private static void unsqueeze(Call call) {
        call.give(0, call.type(0));
        giveRank(call, 1);
        List<Long> axes = call.longs("axes", 1);
        if (axes == null) {
            throw new Undecided();
        }
        int rank = call.rank(0) + axes.size();
        var added = new HashSet<Integer>();
        axes.forEach(axis -> added.add(Call.axis(axis, rank)));
        if (added.size() != axes.size()) {
            throw new Undecided();
        }
        var rest = call.shape(0).iterator();
        var shape = new ArrayList<Extent>();
        for (int dim = 0; dim < rank; dim++) {
            shape.add(added.contains(dim) ? Extent.ONE : rest.next());
        }
        call.give(0, shape);
    }

    /** How many dimensions the result has, if it is known how many axes there are. */
    private static void giveRank(Call call, int sign) {
        if (call.has(1) && call.operand(1).shape() != null && call.rank(1) == 1) {
            Extent count = call.extent(1, 0);
            if (count.isKnown()) {
                call.give(0, call.unknowns(call.rank(0) + sign * count.value()));
            }
        }
    }

    private static void transpose(Call call) {
        call.give(0, call.type(0));
        List<Extent> shape = call.shape(0);
        List<Long> order = call.node.integers("perm");
        if (order.isEmpty()) {
            call.give(0, shape.reversed());
            return;
        }
        if (new HashSet<>(order).size() != shape.size() || order.size() != shape.size()) {
            throw new Undecided();
        }
        call.give(0, order.stream().map(axis -> shape.get(Call.axis(axis, shape.size()))).toList());
    }

    private static void depth(Call call, boolean toSpace) {
        call.give(0, call.type(0));
        long block = call.node.integer("blocksize", 0);
        if (call.rank(0) != 4 || block < 1) {
            throw new Undecided();
        }
        Extent channels = call.extent(0, 1);
        Extent height = call.extent(0, 2);
        Extent width = call.extent(0, 3);
        long area = Math.multiplyExact(block, block);
        call.give(
                0,
                toSpace
                        ? List.of(
                                call.extent(0, 0),
                                channels.over(area),
                                height.times(block),
                                width.times(block))
                        : List.of(
                                call.extent(0, 0),
                                channels.times(area),
                                height.over(block),
                                width.over(block)));
    }
}
