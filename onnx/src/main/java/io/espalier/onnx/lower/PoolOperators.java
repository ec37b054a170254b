package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Maxima, means and norms under windows, or of whole channels. */
final class PoolOperators {
    private PoolOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("MaxPool", PoolOperators::maximum);
        table.put("AveragePool", PoolOperators::average);
        table.put("LpPool", PoolOperators::norm);
        table.put("GlobalAveragePool", PoolOperators::mean);
        table.put("GlobalMaxPool", PoolOperators::largest);
        table.put("GlobalLpPool", PoolOperators::globalNorm);
    }

    private static GraphOperator averages(Call call, int rank) {
        return Window.byRank(
                call,
                rank,
                GraphOperator.AVG_POOL1D,
                GraphOperator.AVG_POOL2D,
                GraphOperator.AVG_POOL3D);
    }

    private static void maximum(Call call) {
        if (call.wants(1)) {
            throw call.refused("somebody reads where its maxima are");
        }
        call.give(maximum(call, call.in(0)));
    }

    /** The largest of each window of [N, C, …], of bytes too. */
    static Value maximum(Call call, Value input) {
        boolean isFloat = call.isFloat(0);
        if (!isFloat && call.type(0).bits() > 8) {
            throw call.refused("its elements are " + call.type(0));
        }
        Window window = Window.of(call, call.node.integers("kernel_shape"));
        Value x = isFloat ? input : call.cast(input, ElementType.FLOAT);
        if (!window.isPooled()) {
            x = window.pad(call, x, Double.NEGATIVE_INFINITY);
            window = window.unpadded();
        }
        Map<String, Object> attributes = attributes(call, window);
        attributes.put("dilation", window.dilations());
        Value largest =
                call.apply(
                        Window.byRank(
                                call,
                                window.rank(),
                                GraphOperator.MAX_POOL1D,
                                GraphOperator.MAX_POOL2D,
                                GraphOperator.MAX_POOL3D),
                        attributes,
                        x);
        return isFloat ? largest : call.cast(largest, call.type(0));
    }

    private static Map<String, Object> attributes(Call call, Window window) {
        Map<String, Object> attributes = new HashMap<>();
        attributes.put("kernel_size", window.kernel());
        attributes.put("stride", window.strides());
        attributes.put("padding", window.before());
        attributes.put("ceil_mode", call.node.integer("ceil_mode", 0) != 0);
        return attributes;
    }

    private static void average(Call call) {
        call.give(average(call, call.in(0)));
    }

    /** The mean of each window of [N, C, …]. */
    static Value average(Call call, Value x) {
        Window window = Window.of(call, call.node.integers("kernel_shape"));
        if (window.isDilated()) {
            throw call.refused("its window is dilated");
        }
        boolean counts = call.node.integer("count_include_pad", 0) != 0;
        GraphOperator operator = averages(call, window.rank());
        if (window.isPooled()) {
            Map<String, Object> attributes = attributes(call, window);
            attributes.put("count_include_pad", counts);
            return call.apply(operator, attributes, x);
        }
        Map<String, Object> attributes = attributes(call, window.unpadded());
        Value sums = call.apply(operator, attributes, window.pad(call, x, 0));
        return counts
                ? sums
                : call.apply(
                        GraphOperator.DIV,
                        sums,
                        call.apply(
                                operator,
                                attributes,
                                window.pad(call, ones(call, window.rank()), 0)));
    }

    /** One channel of ones, as large as the input's. */
    private static Value ones(Call call, int rank) {
        int first = Layout.isChannelsLast(call) ? 1 : 2;
        List<Size> size = new ArrayList<>(List.of(Window.fixed(1), Window.fixed(1)));
        size.addAll(call.sizes(0).subList(first, first + rank));
        ElementType type = call.isFloat(0) ? call.type(0) : ElementType.FLOAT;
        return call.apply(
                GraphOperator.FULL,
                Map.of("size", size, "fill_value", 1, "dtype", type.libtorch()));
    }

    private static void norm(Call call) {
        Window window = Window.of(call, call.node.integers("kernel_shape"));
        if (window.isDilated()) {
            throw call.refused("its window is dilated");
        }
        double order = call.node.integer("p", 2);
        double elements = window.kernel().stream().reduce(1L, (a, b) -> a * b);
        Value powers = power(call, call.apply(GraphOperator.ABS, call.in(0)), order);
        Value means =
                call.apply(
                        averages(call, window.rank()),
                        attributes(call, window.unpadded()),
                        window.pad(call, powers, 0));
        call.give(power(call, call.times(means, elements), 1 / order));
    }

    private static Value power(Call call, Value value, double exponent) {
        return call.apply(GraphOperator.POW_SCALAR, Map.of("exponent", exponent), value);
    }

    private static List<Long> spatial(Call call) {
        return Call.range(2, call.rank(0));
    }

    private static void mean(Call call) {
        int rank = call.rank(0) - 2;
        call.give(
                switch (rank) {
                    case 1, 2 ->
                            call.apply(
                                    rank == 1
                                            ? GraphOperator.ADAPTIVE_AVG_POOL1D
                                            : GraphOperator.ADAPTIVE_AVG_POOL2D,
                                    Map.of("output_size", Call.repeated(rank, 1)),
                                    call.in(0));
                    case 0 -> call.in(0);
                    default ->
                            call.apply(
                                    GraphOperator.MEAN,
                                    Map.of("dim", spatial(call), "keepdim", true),
                                    call.in(0));
                });
    }

    private static void largest(Call call) {
        call.give(
                call.apply(
                        GraphOperator.AMAX,
                        Map.of("dim", spatial(call), "keepdim", true),
                        call.in(0)));
    }

    private static void globalNorm(Call call) {
        call.give(
                call.apply(
                        GraphOperator.NORM,
                        Map.of(
                                "ord",
                                (double) call.node.integer("p", 2),
                                "dim",
                                spatial(call),
                                "keepdim",
                                true),
                        call.in(0)));
    }
}
