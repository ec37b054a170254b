package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/** Parts of a tensor: slices, elements at indices, the largest. */
final class Selections {
    private static final long OPSET_OF_EXTREMES = 18;

    private Selections() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(rows, GraphOperator.NARROW, Selections::narrow);
        row(rows, GraphOperator.SLICE, Selections::slice);
        row(rows, GraphOperator.SELECT, Selections::select);
        rows.put(GraphOperator.SPLIT, Selections::split);
        rows.put(GraphOperator.CHUNK, Selections::split);
        rows.put(GraphOperator.SPLIT_WITH_SIZES, Selections::split);
        rows.put(GraphOperator.UNBIND, Selections::unbind);
        row(rows, GraphOperator.INDEX_SELECT, step -> at(step, "Gather"));
        row(rows, GraphOperator.GATHER, step -> at(step, "GatherElements"));
        row(rows, GraphOperator.SCATTER, step -> scatter(step, "none"));
        row(rows, GraphOperator.SCATTER_REDUCE, Selections::scatterReduce);
        row(
                rows,
                GraphOperator.NONZERO,
                step ->
                        step.node(
                                "Transpose",
                                node -> node.with("perm", List.of(1L, 0L)),
                                step.node("NonZero", step.x())));
        rows.put(GraphOperator.TOPK, Selections::topK);
        rows.put(GraphOperator.SORT, Selections::sort);
        row(
                rows,
                GraphOperator.CUMSUM,
                step ->
                        step.node(
                                "CumSum",
                                step.promoted(0),
                                step.draft().number(ElementType.INT64, step.axis("dim"))));
        row(rows, GraphOperator.TRIL, step -> triangle(step, 0));
        row(rows, GraphOperator.TRIU, step -> triangle(step, 1));
    }

    /** libtorch takes of the source as much as there are indices. */
    private static String scatter(Step step, String reduction) {
        Draft draft = step.draft();
        String source = step.as(step.result().type(), 2);
        if (!step.seen(1).shape().equals(step.seen(2).shape())) {
            int rank = step.seen().rank();
            source =
                    step.node(
                            "Slice",
                            source,
                            draft.longs(new long[rank]),
                            step.node("Shape", step.name(1)));
        }
        return step.node(
                "ScatterElements",
                node -> node.with("axis", step.axis("dim")).with("reduction", reduction),
                step.x(),
                step.name(1),
                source);
    }

    private static String scatterReduce(Step step) {
        String reduction =
                switch (step.call().text("reduce")) {
                    case "sum" -> "add";
                    case "prod" -> "mul";
                    case "amax" -> "max";
                    case "amin" -> "min";
                    default ->
                            throw new EspalierException(
                                    "ONNX joins scattered elements by sum, prod, amax or amin, not"
                                            + " by "
                                            + step.call().text("reduce")
                                            + ".");
                };
        boolean newer = reduction.equals("max") || reduction.equals("min");
        if (newer && step.draft().opset() < OPSET_OF_EXTREMES) {
            throw new EspalierException(
                    "scattered elements are joined by their largest or smallest from opset %d on;"
                                    .formatted(OPSET_OF_EXTREMES)
                            + " ask for that.");
        }
        if (!step.call().flag("include_self")) {
            throw new EspalierException(
                    "ONNX joins scattered elements to those that are there, not in their place.");
        }
        return scatter(step, reduction);
    }

    private static String at(Step step, String op) {
        return step.node(op, node -> node.with("axis", step.axis("dim")), step.x(), step.name(1));
    }

    private static String narrow(Step step) {
        Draft draft = step.draft();
        Object start = step.call().attribute("start").orElseThrow();
        Object length = step.call().attribute("length").orElseThrow();
        String axis = draft.longs(step.axis("dim"));
        if (start instanceof Long from && length instanceof Long count) {
            boolean toEnd = from < 0 && from + count == 0;
            return step.node(
                    "Slice",
                    step.x(),
                    draft.longs(from),
                    draft.longs(toEnd ? Long.MAX_VALUE : from + count),
                    axis);
        }
        String from = step.sizes().of(start, step.x());
        String end = step.node("Add", from, step.sizes().of(length, step.x()));
        return step.node("Slice", step.x(), from, end, axis);
    }

    private static String slice(Step step) {
        Object start = step.call().attribute("start").orElse(0L);
        Object end = step.call().attribute("end").orElse(Long.MAX_VALUE);
        return step.node(
                "Slice",
                step.x(),
                step.sizes().of(start, step.x()),
                step.sizes().of(end, step.x()),
                step.draft().longs(step.axis("dim")),
                step.draft().longs(step.call().integer("step")));
    }

    private static String select(Step step) {
        Object index = step.call().attribute("index").orElseThrow();
        String place =
                index instanceof Long number
                        ? step.draft().constant("index", ConstantTensor.longs(List.of(), number))
                        : step.node(
                                "Squeeze", step.sizes().of(index, step.x()), step.draft().longs(0));
        return step.node("Gather", node -> node.with("axis", step.axis("dim")), step.x(), place);
    }

    /** Into parts as long as they were, along a dimension that does not change. */
    private static List<String> split(Step step) {
        int axis = step.axis("dim");
        step.fixedExtent(0, axis);
        if (step.results().size() == 1) {
            return List.of(step.x());
        }
        long[] lengths = step.results().stream().mapToLong(result -> result.extent(axis)).toArray();
        return step.draft()
                .nodes(
                        "Split",
                        lengths.length,
                        node -> node.with("axis", axis),
                        step.x(),
                        step.draft().longs(lengths));
    }

    private static List<String> unbind(Step step) {
        int axis = step.axis("dim");
        step.fixedExtent(0, axis);
        List<String> parts = new ArrayList<>();
        LongStream.range(0, step.results().size())
                .forEach(place -> {
                    String index =
                            step.draft().constant("index", ConstantTensor.longs(List.of(), place));
                    parts.add(
                            step.node("Gather", node -> node.with("axis", axis), step.x(), index));
                });
        return parts;
    }

    private static List<String> topK(Step step) {
        Object k = step.call().attribute("k").orElseThrow();
        return ordered(
                step, step.sizes().of(k, step.x()), step.call().flag("largest"), step.axis("dim"));
    }

    private static List<String> sort(Step step) {
        int axis = step.axis("dim");
        return ordered(
                step, step.sizes().extent(step.x(), axis), step.call().flag("descending"), axis);
    }

    private static List<String> ordered(Step step, String count, boolean largest, long axis) {
        return step.draft()
                .nodes(
                        "TopK",
                        2,
                        node ->
                                node.with("axis", axis)
                                        .with("largest", largest ? 1 : 0)
                                        .with("sorted", 1),
                        step.x(),
                        count);
    }

    private static String triangle(Step step, long upper) {
        String diagonal = step.draft().number(ElementType.INT64, step.call().integer("diagonal"));
        return step.node("Trilu", node -> node.with("upper", upper), step.x(), diagonal);
    }
}
