package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.UnaryOperator;

/** Sums, means, extremes and orders along dimensions; softmax. */
final class ReductionOperators {
    private static final long OPSET_OF_PLAIN_SOFTMAX = 13;

    private ReductionOperators() {}

    /** The dimensions to reduce; none for all. */
    private record Dims(List<Long> axes, boolean keeps) {
        Map<String, Object> attributes() {
            return Map.of("dim", axes, "keepdim", keeps);
        }
    }

    static void addTo(Map<String, OperatorLowering> table) {
        sum(table, "ReduceSum", (call, x) -> x, x -> x);
        table.put("ReduceMean", ReductionOperators::mean);
        reduction(table, "ReduceMax", GraphOperator.AMAX);
        reduction(table, "ReduceMin", GraphOperator.AMIN);
        reduction(table, "ReduceLogSumExp", GraphOperator.LOGSUMEXP);
        table.put("ReduceProd", ReductionOperators::product);
        sum(table, "ReduceL1", (call, x) -> call.apply(GraphOperator.ABS, x), x -> x);
        sum(table, "ReduceSumSquare", (call, x) -> call.apply(GraphOperator.MUL, x, x), x -> x);
        table.put(
                "ReduceL2",
                call ->
                        reduce(
                                call,
                                dims ->
                                        call.apply(
                                                GraphOperator.SQRT,
                                                total(call, squares(call), dims))));
        table.put(
                "ReduceLogSum",
                call ->
                        reduce(
                                call,
                                dims ->
                                        call.apply(
                                                GraphOperator.LOG, total(call, call.in(0), dims))));
        table.put("ArgMax", call -> place(call, GraphOperator.ARGMAX));
        table.put("ArgMin", call -> place(call, GraphOperator.ARGMIN));
        table.put("CumSum", ReductionOperators::running);
        table.put("TopK", ReductionOperators::largest);
        table.put("Softmax", call -> softmax(call, GraphOperator.SOFTMAX));
        table.put("LogSoftmax", call -> softmax(call, GraphOperator.LOG_SOFTMAX));
        table.put("Hardmax", ReductionOperators::hardmax);
    }

    /** What is summed. */
    private interface Summand {
        Value of(Call call, Value x);
    }

    private static void sum(
            Map<String, OperatorLowering> table,
            String name,
            Summand summand,
            UnaryOperator<Value> after) {
        table.put(
                name,
                call ->
                        reduce(
                                call,
                                dims ->
                                        after.apply(
                                                total(call, summand.of(call, call.in(0)), dims))));
    }

    private static void reduction(
            Map<String, OperatorLowering> table, String name, GraphOperator operator) {
        table.put(
                name,
                call -> reduce(call, dims -> call.apply(operator, dims.attributes(), call.in(0))));
    }

    private static Value squares(Call call) {
        return call.apply(GraphOperator.MUL, call.in(0), call.in(0));
    }

    /** libtorch's sums of integers have 64 bits. */
    private static Value total(Call call, Value x, Dims dims) {
        return asGiven(call, call.apply(GraphOperator.SUM, dims.attributes(), x));
    }

    private static Value asGiven(Call call, Value wide) {
        return call.isFloat(0) || call.type(0) == ElementType.INT64
                ? wide
                : call.cast(wide, call.type(0));
    }

    /** The steps of one reduction. */
    private interface Reduction {
        Value over(Dims dims);
    }

    private static void reduce(Call call, Reduction reduction) {
        Optional<Dims> dims = dims(call);
        call.give(dims.isEmpty() ? call.in(0) : reduction.over(dims.get()));
    }

    /** Empty if nothing is reduced. */
    private static Optional<Dims> dims(Call call) {
        List<Long> axes = call.longs("axes", 1);
        boolean keeps = call.node.integer("keepdims", 1) != 0;
        if (axes == null || axes.isEmpty()) {
            boolean nothing = call.node.integer("noop_with_empty_axes", 0) != 0;
            return nothing ? Optional.empty() : Optional.of(new Dims(List.of(), keeps));
        }
        return Optional.of(new Dims(axes, keeps));
    }

    private static void mean(Call call) {
        reduce(
                call,
                dims ->
                        call.isFloat(0)
                                ? call.apply(GraphOperator.MEAN, dims.attributes(), call.in(0))
                                : call.cast(
                                        call.apply(
                                                GraphOperator.MEAN,
                                                dims.attributes(),
                                                call.cast(call.in(0), ElementType.DOUBLE)),
                                        call.type(0)));
    }

    /** libtorch's product is along one dimension. */
    private static void product(Call call) {
        reduce(
                call,
                dims -> {
                    TreeSet<Integer> all = new TreeSet<>(Collections.reverseOrder());
                    int rank = call.rank(0);
                    List<Long> axes = dims.axes.isEmpty() ? Call.range(0, rank) : dims.axes;
                    axes.forEach(axis -> all.add(call.axisOf(axis, rank)));
                    Value product = call.in(0);
                    for (int dim : all) {
                        product =
                                call.apply(
                                        GraphOperator.PROD,
                                        Map.of("dim", dim, "keepdim", dims.keeps),
                                        product);
                    }
                    return asGiven(call, product);
                });
    }

    private static void place(Call call, GraphOperator operator) {
        long axis = call.node.integer("axis", 0);
        boolean last = call.node.integer("select_last_index", 0) != 0;
        Map<String, Object> attributes =
                Map.of("dim", axis, "keepdim", call.node.integer("keepdims", 1) != 0);
        if (!last) {
            call.give(call.apply(operator, attributes, call.in(0)));
            return;
        }
        int dim = call.axis(axis, 0);
        Value flipped = call.apply(GraphOperator.FLIP, Map.of("dims", List.of(dim)), call.in(0));
        Value fromEnd = call.apply(operator, attributes, flipped);
        Value end = call.tensorOf(List.of(new Size.Plus(call.sizes(0).get(dim), -1)));
        call.give(call.apply(GraphOperator.SUB, end, fromEnd));
    }

    private static void running(Call call) {
        int dim = call.axis(call.longs(1).getFirst(), 0);
        boolean reverse = call.node.integer("reverse", 0) != 0;
        Map<String, Object> flip = Map.of("dims", List.of(dim));
        Value x = reverse ? call.apply(GraphOperator.FLIP, flip, call.in(0)) : call.in(0);
        Value sums = asGiven(call, call.apply(GraphOperator.CUMSUM, Map.of("dim", dim), x));
        if (call.node.integer("exclusive", 0) != 0) {
            sums = call.apply(GraphOperator.SUB, sums, x);
        }
        call.give(reverse ? call.apply(GraphOperator.FLIP, flip, sums) : sums);
    }

    private static void largest(Call call) {
        Object k =
                call.node.has("k") ? call.node.integer("k", 1) : call.requireIntegers(1).getFirst();
        List<Value> found =
                call.applyAll(
                        GraphOperator.TOPK,
                        2,
                        Map.of(
                                "k",
                                k,
                                "dim",
                                call.node.integer("axis", -1),
                                "largest",
                                call.node.integer("largest", 1) != 0,
                                "sorted",
                                call.node.integer("sorted", 1) != 0),
                        call.in(0));
        call.give(0, found.get(0));
        call.give(1, found.get(1));
    }

    /** How something along one dimension is computed, given the input and that dimension. */
    private interface Along {
        Value of(Value x, int dim);
    }

    /** Before opset 13 the last dimensions, from an axis on, are one. */
    private static void overLast(Call call, Along along) {
        boolean plain = call.opset() >= OPSET_OF_PLAIN_SOFTMAX;
        int rank = call.rank(0);
        int axis = call.axis(call.node.integer("axis", plain ? -1 : 1), 0);
        if (plain || axis == rank - 1) {
            call.give(along.of(call.in(0), axis));
            return;
        }
        List<Size> last = call.sizes(0).subList(axis, rank);
        Value flat =
                call.apply(
                        GraphOperator.FLATTEN,
                        Map.of("start_dim", axis, "end_dim", -1),
                        call.in(0));
        call.give(
                call.apply(
                        GraphOperator.UNFLATTEN,
                        Map.of("dim", axis, "sizes", new ArrayList<>(last)),
                        along.of(flat, axis)));
    }

    private static void softmax(Call call, GraphOperator operator) {
        overLast(call, (x, dim) -> call.apply(operator, Map.of("dim", dim), x));
    }

    private static void hardmax(Call call) {
        overLast(
                call,
                (x, dim) -> {
                    Value place =
                            call.apply(
                                    GraphOperator.ARGMAX, Map.of("dim", dim, "keepdim", true), x);
                    Value zeros = call.apply(GraphOperator.MUL_SCALAR, Map.of("other", 0), x);
                    // Of the places' extents, and no gradient passes.
                    Value nothing = call.apply(GraphOperator.MUL_SCALAR, Map.of("other", 0), place);
                    Value ones =
                            call.cast(
                                    call.apply(
                                            GraphOperator.ADD_SCALAR, Map.of("other", 1), nothing),
                                    call.type(0));
                    return call.apply(
                            GraphOperator.SCATTER, Map.of("dim", dim), zeros, place, ones);
                });
    }
}
