package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.nn.Embedding;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Elements taken from, or put at, places that are computed. */
final class IndexOperators {
    private IndexOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("Gather", IndexOperators::gather);
        table.put("GatherElements", IndexOperators::gatherElements);
        table.put("GatherND", IndexOperators::gatherPlaces);
        table.put("Scatter", IndexOperators::scatterElements);
        table.put("ScatterElements", IndexOperators::scatterElements);
        table.put("ScatterND", IndexOperators::scatterPlaces);
        table.put("Compress", IndexOperators::compress);
        table.put("NonZero", IndexOperators::nonZero);
        table.put("GridSample", IndexOperators::gridSample);
    }

    private static void gather(Call call) {
        int axis = call.axis(call.node.integer("axis", 0), 0);
        ConstantTensor table = call.weight(0);
        List<Size> known = call.integers(1);
        if (known != null && call.rank(1) == 0) {
            call.give(
                    call.apply(
                            GraphOperator.SELECT,
                            Map.of("dim", axis, "index", known.getFirst()),
                            call.in(0)));
        } else if (table != null && table.shape().size() == 2 && axis == 0 && known == null) {
            call.give(
                    call.call(
                            0,
                            List.of(Embedding.class, call.node.input(0)),
                            () -> Embedding.of(table.toTensor()),
                            fromStart(call, call.in(1), table.shape().getFirst())));
        } else {
            call.give(select(call, call.in(0), axis));
        }
    }

    /**
     * Slices at the indices that the second input has, which may be counted from the end of the
     * first one's dimension.
     */
    static Value select(Call call, Value from, int axis) {
        Value index = counted(call, 1, axis);
        int rank = call.rank(1);
        Value flat =
                rank == 1
                        ? index
                        : call.apply(GraphOperator.RESHAPE, Map.of("shape", List.of(-1)), index);
        Value chosen = call.apply(GraphOperator.INDEX_SELECT, Map.of("dim", axis), from, flat);
        return switch (rank) {
            case 0 -> call.apply(GraphOperator.SQUEEZE, Map.of("dim", axis), chosen);
            case 1 -> chosen;
            default ->
                    call.apply(
                            GraphOperator.UNFLATTEN,
                            Map.of("dim", axis, "sizes", new ArrayList<>(call.sizes(1))),
                            chosen);
        };
    }

    /** Indices along a dimension of the first input, none of them counted from its end. */
    private static Value counted(Call call, int place, int axis) {
        Value index = call.in(place);
        boolean plain =
                call.constant(place) != null
                        && call.longs(place).stream().allMatch(number -> number >= 0);
        return plain ? index : counted(call, index, call.sizes(0).get(axis));
    }

    private static Value counted(Call call, Value index, Size length) {
        return fromStart(call, index, call.tensorOf(List.of(length)));
    }

    /** The same of a table's rows; its name stays free for the table. */
    private static Value fromStart(Call call, Value index, long rows) {
        Value length = call.constantApart("table_rows", Tensors.of(new long[] {rows}, 1));
        return fromStart(call, index, length);
    }

    private static Value fromStart(Call call, Value index, Value length) {
        Value negative = call.apply(GraphOperator.LT_SCALAR, Map.of("other", 0), index);
        Value fromEnd = call.apply(GraphOperator.ADD, index, length);
        return call.apply(GraphOperator.WHERE, negative, fromEnd, index);
    }

    private static Value wide(Call call, int place, Value index) {
        return call.type(place) == ElementType.INT64 ? index : call.cast(index, ElementType.INT64);
    }

    private static void gatherElements(Call call) {
        int axis = call.axis(call.node.integer("axis", 0), 0);
        call.give(
                call.apply(
                        GraphOperator.GATHER,
                        Map.of("dim", axis),
                        call.in(0),
                        wide(call, 1, counted(call, 1, axis))));
    }

    private static void scatterElements(Call call) {
        int axis = call.axis(call.node.integer("axis", 0), 0);
        Value index = wide(call, 1, counted(call, 1, axis));
        call.give(scatter(call, axis, call.in(0), index, call.in(2)));
    }

    private static Value scatter(Call call, int axis, Value x, Value index, Value source) {
        String reduction = call.node.text("reduction", "none");
        if (reduction.equals("none")) {
            return call.apply(GraphOperator.SCATTER, Map.of("dim", axis), x, index, source);
        }
        String reduce =
                switch (reduction) {
                    case "add" -> "sum";
                    case "mul" -> "prod";
                    case "max" -> "amax";
                    case "min" -> "amin";
                    default -> throw call.refused("its reduction is '" + reduction + "'");
                };
        return call.apply(
                GraphOperator.SCATTER_REDUCE,
                Map.of("dim", axis, "reduce", reduce),
                x,
                index,
                source);
    }

    private static Value reshape(Call call, Value x, List<Size> shape) {
        return call.apply(GraphOperator.RESHAPE, Map.of("shape", shape), x);
    }

    private static Size product(List<Size> sizes) {
        return sizes.stream().reduce(Window.fixed(1), IndexOperators::times);
    }

    private static Size times(Size a, Size b) {
        if (a.equals(Window.fixed(1))) {
            return b;
        }
        return b.equals(Window.fixed(1)) ? a : new Size.Times(a, b);
    }

    /**
     * Each row of indices as one index into the dimensions that they stand for, taken as one.
     *
     * @param from the dimension of the first input that the first index stands for
     */
    private static Value flatIndex(Call call, int from, int count) {
        List<Size> lengths = call.sizes(0);
        int last = call.rank(1) - 1;
        Value index = wide(call, 1, call.in(1));
        Value sum = null;
        for (int i = 0; i < count; i++) {
            Value one = call.apply(GraphOperator.SELECT, Map.of("dim", last, "index", i), index);
            Value counted = counted(call, one, lengths.get(from + i));
            Size stride = product(lengths.subList(from + i + 1, from + count));
            Value scaled =
                    stride.equals(Window.fixed(1))
                            ? counted
                            : call.apply(
                                    GraphOperator.MUL, counted, call.tensorOf(List.of(stride)));
            sum = sum == null ? scaled : call.apply(GraphOperator.ADD, sum, scaled);
        }
        if (sum == null) {
            throw call.refused("its rows of indices are empty");
        }
        return sum;
    }

    private static void gatherPlaces(Call call) {
        int batch = (int) call.node.integer("batch_dims", 0);
        List<Size> lengths = call.sizes(0);
        List<Size> indices = call.sizes(1);
        int count = (int) call.length(1, indices.size() - 1);
        Value index = flatIndex(call, batch, count);
        Size places = product(lengths.subList(batch, batch + count));
        List<Size> batches = lengths.subList(0, batch);
        if (batch > 0) {
            Value number =
                    call.apply(GraphOperator.ARANGE, Map.of("start", 0, "end", product(batches)));
            Value offset = call.apply(GraphOperator.MUL, number, call.tensorOf(List.of(places)));
            List<Size> shape = new ArrayList<>(batches);
            for (int dim = batch; dim < indices.size() - 1; dim++) {
                shape.add(Window.fixed(1));
            }
            index = call.apply(GraphOperator.ADD, index, reshape(call, offset, shape));
        }
        List<Size> rest = lengths.subList(batch + count, lengths.size());
        List<Size> flat = new ArrayList<>(List.of(times(product(batches), places)));
        flat.addAll(rest);
        Value chosen =
                call.apply(
                        GraphOperator.INDEX_SELECT,
                        Map.of("dim", 0),
                        reshape(call, call.in(0), flat),
                        reshape(call, index, List.of(Window.fixed(-1))));
        List<Size> shape = new ArrayList<>(indices.subList(0, indices.size() - 1));
        shape.addAll(rest);
        call.give(reshape(call, chosen, shape));
    }

    private static void scatterPlaces(Call call) {
        List<Size> lengths = call.sizes(0);
        int count = (int) call.length(1, call.rank(1) - 1);
        Size inner = product(lengths.subList(count, lengths.size()));
        Size outer = product(lengths.subList(0, count));
        Value index =
                call.apply(
                        GraphOperator.EXPAND,
                        Map.of("size", List.of(Window.fixed(-1), inner)),
                        reshape(
                                call,
                                flatIndex(call, 0, count),
                                List.of(Window.fixed(-1), Window.fixed(1))));
        Value changed =
                scatter(
                        call,
                        0,
                        reshape(call, call.in(0), List.of(outer, inner)),
                        index,
                        reshape(call, call.in(2), List.of(Window.fixed(-1), inner)));
        call.give(reshape(call, changed, lengths));
    }

    private static void compress(Call call) {
        Value places = call.apply(GraphOperator.NONZERO, call.in(1));
        Value index = call.apply(GraphOperator.SQUEEZE, Map.of("dim", 1), places);
        boolean along = call.node.has("axis");
        Value x =
                along
                        ? call.in(0)
                        : call.apply(
                                GraphOperator.RESHAPE, Map.of("shape", List.of(-1)), call.in(0));
        long axis = along ? call.node.integer("axis", 0) : 0;
        call.give(call.apply(GraphOperator.INDEX_SELECT, Map.of("dim", axis), x, index));
    }

    private static void nonZero(Call call) {
        Value rows = call.apply(GraphOperator.NONZERO, call.in(0));
        call.give(call.apply(GraphOperator.TRANSPOSE, Map.of("dim0", 0, "dim1", 1), rows));
    }

    private static void gridSample(Call call) {
        String mode = call.node.text("mode", "linear");
        long interpolation =
                switch (mode) {
                    case "linear", "bilinear" -> 0;
                    case "nearest" -> 1;
                    case "cubic", "bicubic" -> 2;
                    default -> throw call.refused("its mode is '" + mode + "'");
                };
        long padding =
                switch (call.node.text("padding_mode", "zeros")) {
                    case "border" -> 1;
                    case "reflection" -> 2;
                    default -> 0;
                };
        call.give(
                call.apply(
                        GraphOperator.GRID_SAMPLER,
                        Map.of(
                                "interpolation_mode", interpolation,
                                "padding_mode", padding,
                                "align_corners", call.node.integer("align_corners", 0) != 0),
                        call.in(0),
                        call.in(1)));
    }
}
