package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** The same elements in another shape or order. */
final class Shapes {
    private Shapes() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(
                rows,
                GraphOperator.RESHAPE,
                step -> reshape(step, (List<?>) step.call().attribute("shape").orElseThrow()));
        row(rows, GraphOperator.FLATTEN, Shapes::flatten);
        row(rows, GraphOperator.UNFLATTEN, Shapes::unflatten);
        row(rows, GraphOperator.TRANSPOSE, Shapes::transpose);
        row(
                rows,
                GraphOperator.PERMUTE,
                step ->
                        step.node(
                                "Transpose",
                                node -> node.with("perm", step.axes("dims")),
                                step.x()));
        row(rows, GraphOperator.UNSQUEEZE, Shapes::unsqueeze);
        row(rows, GraphOperator.SQUEEZE, Shapes::squeeze);
        row(rows, GraphOperator.EXPAND, Shapes::expand);
        row(rows, GraphOperator.REPEAT, Shapes::repeat);
        row(rows, GraphOperator.CONTIGUOUS, Step::x);
        row(rows, GraphOperator.FLIP, Shapes::flip);
        row(rows, GraphOperator.ROLL, Shapes::roll);
        row(
                rows,
                GraphOperator.PIXEL_SHUFFLE,
                step ->
                        step.node(
                                "DepthToSpace",
                                node ->
                                        node.with(
                                                        "blocksize",
                                                        step.call().integer("upscale_factor"))
                                                .with("mode", "CRD"),
                                step.x()));
        row(rows, GraphOperator.PIXEL_UNSHUFFLE, Shapes::pixelUnshuffle);
        row(rows, GraphOperator.SHAPE, step -> step.node("Shape", step.x()));
        row(
                rows,
                GraphOperator.RESHAPE_TO,
                step ->
                        step.node(
                                "Reshape",
                                node -> node.with("allowzero", 1),
                                step.x(),
                                step.as(ElementType.INT64, 1)));
        row(rows, GraphOperator.FULL, Shapes::full);
        row(rows, GraphOperator.ARANGE, Shapes::arange);
        row(rows, GraphOperator.CAT, Shapes::cat);
        row(rows, GraphOperator.STACK, Shapes::stack);
    }

    /** ONNX's operator orders the channels otherwise. */
    private static String pixelUnshuffle(Step step) {
        long factor = step.call().integer("downscale_factor");
        Draft draft = step.draft();
        long channels = step.fixedExtent(0, 1);
        long height = step.fixedExtent(0, 2) / factor;
        long width = step.fixedExtent(0, 3) / factor;
        String apart =
                step.node(
                        "Reshape",
                        step.x(),
                        draft.longs(0, channels, height, factor, width, factor));
        String turned =
                step.node(
                        "Transpose",
                        node -> node.with("perm", List.of(0L, 1L, 3L, 5L, 2L, 4L)),
                        apart);
        return step.node(
                "Reshape", turned, draft.longs(0, channels * factor * factor, height, width));
    }

    private static String full(Step step) {
        List<?> sizes = (List<?>) step.call().attribute("size").orElseThrow();
        var value =
                Weights.scalar(step.result().type(), step.call().number("fill_value"))
                        .reshaped(List.of(1L));
        return step.node(
                "ConstantOfShape",
                node -> node.with("value", value),
                step.sizes().list(sizes, step.name(0)));
    }

    private static String arange(Step step) {
        List<String> numbers = new ArrayList<>();
        for (String name : List.of("start", "end", "step")) {
            Object size = step.call().attribute(name).orElseThrow();
            numbers.add(
                    step.node(
                            "Squeeze", step.sizes().of(size, step.name(0)), step.draft().longs(0)));
        }
        String range = step.node("Range", numbers.toArray(String[]::new));
        return Casts.to(step.draft(), step.result().type(), ElementType.INT64, range);
    }

    private static boolean isNumber(Object size) {
        return size instanceof Long;
    }

    /** One size that is not known can be left to be found: −1. */
    private static String reshape(Step step, List<?> sizes) {
        List<Object> wanted = new ArrayList<>();
        for (int i = 0; i < sizes.size(); i++) {
            boolean kept =
                    sizes.get(i) instanceof Size.OfOperand(int dim)
                            && dim == i
                            && !sizes.contains(0L);
            wanted.add(kept ? (Object) 0L : sizes.get(i));
        }
        List<Object> open = wanted.stream().filter(size -> !isNumber(size)).toList();
        if (open.size() == 1 && !sizes.contains(-1L) && !sizes.contains(0L)) {
            wanted.set(wanted.indexOf(open.getFirst()), -1L);
        }
        return step.node(
                "Reshape",
                node -> sizes.contains(0L) ? node.with("allowzero", 1) : node,
                step.x(),
                step.sizes().list(wanted, step.x()));
    }

    /** An extent of the first operand, as a number where it never changes. */
    private static Object extent(Step step, int dim) {
        return step.isFixed().isFixed(0, dim)
                ? (Object) step.seen().shape().get(dim)
                : new Size.OfOperand(dim);
    }

    private static String flatten(Step step) {
        int rank = step.seen().rank();
        int start = step.axis("start_dim");
        int end = step.axis("end_dim");
        if (start == 1 && end == rank - 1 && rank > 1) {
            return step.node("Flatten", node -> node.with("axis", 1), step.x());
        }
        List<Object> sizes = new ArrayList<>();
        for (int dim = 0; dim < start; dim++) {
            sizes.add(extent(step, dim));
        }
        sizes.add(-1L);
        for (int dim = end + 1; dim < rank; dim++) {
            sizes.add(extent(step, dim));
        }
        return reshape(step, sizes);
    }

    private static String unflatten(Step step) {
        int dim = step.axis("dim");
        List<Object> sizes = new ArrayList<>();
        for (int before = 0; before < dim; before++) {
            sizes.add(extent(step, before));
        }
        sizes.addAll((List<?>) step.call().attribute("sizes").orElseThrow());
        for (int after = dim + 1; after < step.seen().rank(); after++) {
            sizes.add(extent(step, after));
        }
        return reshape(step, sizes);
    }

    private static String transpose(Step step) {
        List<Long> order = new ArrayList<>(Activations.range(0, step.seen().rank()));
        if (order.isEmpty()) {
            return step.x();
        }
        Collections.swap(order, step.axis("dim0"), step.axis("dim1"));
        return step.node("Transpose", node -> node.with("perm", order), step.x());
    }

    private static String unsqueeze(Step step) {
        long dim = step.call().integer("dim");
        long axis = dim < 0 ? dim + step.seen().rank() + 1 : dim;
        return step.node("Unsqueeze", step.x(), step.draft().longs(axis));
    }

    /** A dimension that is not 1 stays. */
    private static String squeeze(Step step) {
        int axis = step.axis("dim");
        return step.seen().rank() == 0 || step.fixedExtent(0, axis) != 1
                ? step.x()
                : step.node("Squeeze", step.x(), step.draft().longs(axis));
    }

    private static String expand(Step step) {
        List<Object> sizes = new ArrayList<>();
        for (Object size : (List<?>) step.call().attribute("size").orElseThrow()) {
            sizes.add(size.equals(-1L) ? 1L : size);
        }
        return step.node("Expand", step.x(), step.sizes().list(sizes, step.x()));
    }

    private static String repeat(Step step) {
        List<?> repeats = (List<?>) step.call().attribute("repeats").orElseThrow();
        int more = repeats.size() - step.seen().rank();
        long[] first = Activations.range(0, more).stream().mapToLong(dim -> dim).toArray();
        String x =
                more == 0 ? step.x() : step.node("Unsqueeze", step.x(), step.draft().longs(first));
        return step.node("Tile", x, step.sizes().list(repeats, step.x()));
    }

    private static String flip(Step step) {
        List<Long> axes = step.axes("dims");
        if (axes.isEmpty()) {
            return step.x();
        }
        long[] lasts = axes.stream().mapToLong(axis -> -1).toArray();
        long[] beforeAll = axes.stream().mapToLong(axis -> Long.MIN_VALUE).toArray();
        Draft draft = step.draft();
        return step.node(
                "Slice",
                step.x(),
                draft.longs(lasts),
                draft.longs(beforeAll),
                draft.longs(axes.stream().mapToLong(axis -> axis).toArray()),
                draft.longs(lasts));
    }

    private static String roll(Step step) {
        List<Long> shifts = step.call().integers("shifts");
        List<Long> dims = step.axes("dims");
        Draft draft = step.draft();
        if (dims.isEmpty()) {
            String flat = step.node("Reshape", step.x(), draft.longs(-1));
            long elements = step.seen().shape().stream().reduce(1L, (a, b) -> a * b);
            for (int dim = 0; dim < step.seen().rank(); dim++) {
                step.fixedExtent(0, dim);
            }
            String rolled = rolled(draft, flat, 0, shifts.getFirst(), elements);
            return step.node("Reshape", rolled, step.node("Shape", step.x()));
        }
        String rolled = step.x();
        for (int i = 0; i < dims.size(); i++) {
            int dim = dims.get(i).intValue();
            rolled = rolled(draft, rolled, dim, shifts.get(i), step.fixedExtent(0, dim));
        }
        return rolled;
    }

    private static String rolled(Draft draft, String x, long dim, long shift, long extent) {
        long by = extent == 0 ? 0 : Math.floorMod(shift, extent);
        if (by == 0) {
            return x;
        }
        String axis = draft.longs(dim);
        String end = draft.node("Slice", x, draft.longs(-by), draft.longs(Long.MAX_VALUE), axis);
        String start = draft.node("Slice", x, draft.longs(0), draft.longs(-by), axis);
        return draft.node("Concat", node -> node.with("axis", dim), end, start);
    }

    /** libtorch leaves out tensors of no elements and one dimension. */
    private static String cat(Step step) {
        List<String> parts = new ArrayList<>();
        for (int i = 0; i < step.names().size(); i++) {
            boolean empty = step.seen(i).shape().equals(List.of(0L)) && step.result().rank() > 1;
            if (!empty) {
                parts.add(step.promoted(i));
            }
        }
        long axis = step.result().axis(step.call().integer("dim"));
        return step.node("Concat", node -> node.with("axis", axis), parts.toArray(String[]::new));
    }

    private static String stack(Step step) {
        long axis = step.result().axis(step.call().integer("dim"));
        List<String> parts = new ArrayList<>();
        for (int i = 0; i < step.names().size(); i++) {
            parts.add(step.node("Unsqueeze", step.promoted(i), step.draft().longs(axis)));
        }
        return step.node("Concat", node -> node.with("axis", axis), parts.toArray(String[]::new));
    }
}
