package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** The same elements in other shapes, and shapes as tensors. */
final class ShapeOperators {
    private ShapeOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("Reshape", ShapeOperators::reshape);
        table.put("Flatten", ShapeOperators::flatten);
        table.put("Transpose", ShapeOperators::transpose);
        table.put("Squeeze", ShapeOperators::squeeze);
        table.put("Unsqueeze", ShapeOperators::unsqueeze);
        table.put("Expand", ShapeOperators::expand);
        table.put("Tile", ShapeOperators::tile);
        table.put("Shape", ShapeOperators::shape);
        table.put("Size", ShapeOperators::size);
        table.put("DepthToSpace", ShapeOperators::depthToSpace);
        table.put("SpaceToDepth", ShapeOperators::spaceToDepth);
    }

    private static void reshape(Call call) {
        List<Size> wanted = call.integers(1);
        boolean copies = call.node.integer("allowzero", 0) == 0;
        if (wanted == null) {
            Value shape = copies ? withoutZeros(call) : call.in(1);
            call.give(call.apply(GraphOperator.RESHAPE_TO, call.in(0), shape));
            return;
        }
        List<Size> shape = new ArrayList<>();
        for (int i = 0; i < wanted.size(); i++) {
            boolean zero = wanted.get(i).equals(new Size.Fixed(0));
            shape.add(zero && copies ? new Size.OfOperand(i) : wanted.get(i));
        }
        call.give(call.apply(GraphOperator.RESHAPE, Map.of("shape", shape), call.in(0)));
    }

    /** A shape that is computed, with the input's own lengths in the place of zeros. */
    private static Value withoutZeros(Call call) {
        int wanted = Math.toIntExact(call.length(1, 0));
        int rank = call.rank(0);
        Value own = call.apply(GraphOperator.SHAPE, call.in(0));
        Value fitting =
                wanted <= rank
                        ? call.apply(GraphOperator.SLICE, Map.of("start", 0, "end", wanted), own)
                        : call.apply(
                                GraphOperator.CAT,
                                Map.of("dim", 0),
                                own,
                                call.tensorOf(
                                        Collections.nCopies(wanted - rank, new Size.Fixed(0))));
        Value zero = call.apply(GraphOperator.EQ_SCALAR, Map.of("other", 0), call.in(1));
        return call.apply(GraphOperator.WHERE, zero, fitting, call.in(1));
    }

    private static void flatten(Call call) {
        long given = call.node.integer("axis", 1);
        int rank = call.rank(0);
        int axis = given == rank ? rank : call.axis(given, 0);
        if (axis == 1 && rank > 1) {
            call.give(call.apply(GraphOperator.FLATTEN, Map.of("start_dim", 1), call.in(0)));
            return;
        }
        Size first = new Size.Fixed(1);
        for (int dim = 0; dim < axis; dim++) {
            Size length = new Size.OfOperand(dim);
            first = dim == 0 ? length : new Size.Times(first, length);
        }
        Size last = new Size.Fixed(axis == rank ? 1 : -1);
        call.give(
                call.apply(
                        GraphOperator.RESHAPE, Map.of("shape", List.of(first, last)), call.in(0)));
    }

    private static void transpose(Call call) {
        List<Long> order = call.node.integers("perm");
        call.give(
                call.apply(
                        GraphOperator.PERMUTE,
                        Map.of(
                                "dims",
                                call.node.has("perm")
                                        ? order
                                        : Call.range(0, call.rank(0)).reversed()),
                        call.in(0)));
    }

    private static void squeeze(Call call) {
        List<Long> given = call.longs("axes", 1);
        TreeSet<Integer> axes = new TreeSet<>(Collections.reverseOrder());
        if (given == null) {
            List<Size> shape = call.shape(0);
            for (int dim = 0; dim < shape.size(); dim++) {
                if (!(shape.get(dim) instanceof Size.Fixed(long length))) {
                    throw call.refused("which of its dimensions have length 1 is known only then");
                }
                if (length == 1) {
                    axes.add(dim);
                }
            }
        } else {
            given.forEach(axis -> axes.add(call.axis(axis, 0)));
        }
        Value x = call.in(0);
        for (int axis : axes) {
            x = call.apply(GraphOperator.SQUEEZE, Map.of("dim", axis), x);
        }
        call.give(x);
    }

    private static void unsqueeze(Call call) {
        List<Long> given = call.longs("axes", 1);
        if (given == null) {
            throw call.refused("it has no axes");
        }
        TreeSet<Integer> axes = new TreeSet<>();
        boolean plain = given.stream().allMatch(axis -> axis >= 0);
        int rank = plain ? Integer.MAX_VALUE : call.rank(0) + given.size();
        given.forEach(axis -> axes.add(call.axisOf(axis, rank)));
        Value x = call.in(0);
        for (int axis : axes) {
            x = call.unsqueeze(x, axis);
        }
        call.give(x);
    }

    /** Dimensions that stay are told by -1, which is right for each length. */
    private static void expand(Call call) {
        List<Size> wanted = call.requireIntegers(1);
        List<Size> x = call.shape(0);
        List<Size> result = call.resultSizes(0);
        int rank = Math.max(x.size(), wanted.size());
        List<Size> sizes = new ArrayList<>();
        for (int dim = 0; dim < rank; dim++) {
            int own = dim - (rank - x.size());
            int asked = dim - (rank - wanted.size());
            Size length = own < 0 ? new Size.Fixed(1) : x.get(own);
            Size size = asked < 0 ? new Size.Fixed(1) : wanted.get(asked);
            boolean stays = own >= 0 && (size.equals(new Size.Fixed(1)) || size.equals(length));
            if (stays) {
                sizes.add(new Size.Fixed(-1));
            } else {
                sizes.add(result == null ? size : result.get(dim));
            }
        }
        call.give(call.apply(GraphOperator.EXPAND, Map.of("size", sizes), call.in(0)));
    }

    private static void tile(Call call) {
        call.give(
                call.apply(
                        GraphOperator.REPEAT,
                        Map.of("repeats", call.requireIntegers(1)),
                        call.in(0)));
    }

    private static void shape(Call call) {
        Value shape = call.apply(GraphOperator.SHAPE, call.in(0));
        if (call.node.has("start") || call.node.has("end")) {
            shape =
                    call.apply(
                            GraphOperator.SLICE,
                            Map.of(
                                    "start", call.node.integer("start", 0),
                                    "end", call.node.integer("end", Long.MAX_VALUE)),
                            shape);
        }
        call.give(shape);
    }

    private static void size(Call call) {
        Value shape = call.apply(GraphOperator.SHAPE, call.in(0));
        call.give(call.apply(GraphOperator.PROD, Map.of("dim", 0), shape));
    }

    private static Value unflatten(Call call, Value x, int dim, Object... sizes) {
        return call.apply(GraphOperator.UNFLATTEN, Map.of("dim", dim, "sizes", List.of(sizes)), x);
    }

    private static Value flatten(Call call, Value x, int from, int to) {
        return call.apply(GraphOperator.FLATTEN, Map.of("start_dim", from, "end_dim", to), x);
    }

    private static Value permute(Call call, Value x, Object... dims) {
        return call.apply(GraphOperator.PERMUTE, Map.of("dims", List.of(dims)), x);
    }

    private static void depthToSpace(Call call) {
        long block = call.node.integer("blocksize", 1);
        if (call.node.text("mode", "DCR").equals("CRD")) {
            call.give(
                    call.apply(
                            GraphOperator.PIXEL_SHUFFLE,
                            Map.of("upscale_factor", block),
                            call.in(0)));
            return;
        }
        Value blocks =
                permute(call, unflatten(call, call.in(0), 1, block, block, -1), 0, 3, 4, 1, 5, 2);
        call.give(flatten(call, flatten(call, blocks, 4, 5), 2, 3));
    }

    private static void spaceToDepth(Call call) {
        long block = call.node.integer("blocksize", 1);
        Value columns = unflatten(call, call.in(0), 3, -1, block);
        Value blocks = permute(call, unflatten(call, columns, 2, -1, block), 0, 3, 5, 1, 2, 4);
        call.give(flatten(call, blocks, 1, 3));
    }
}
