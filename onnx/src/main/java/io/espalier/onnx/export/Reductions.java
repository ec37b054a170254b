package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;

import java.util.List;
import java.util.Map;

/** Sums, means, extremes and the like along dimensions. */
final class Reductions {
    private static final long OPSET_OF_AXES_AS_INPUT = 18;

    private Reductions() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(rows, GraphOperator.MEAN, along("ReduceMean"));
        row(rows, GraphOperator.SUM, along("ReduceSum"));
        row(rows, GraphOperator.AMAX, along("ReduceMax"));
        row(rows, GraphOperator.AMIN, along("ReduceMin"));
        row(rows, GraphOperator.LOGSUMEXP, along("ReduceLogSumExp"));
        row(
                rows,
                GraphOperator.PROD,
                step ->
                        reduce(
                                step.draft(),
                                "ReduceProd",
                                step.promoted(0),
                                List.of((long) step.axis("dim")),
                                step.call().flag("keepdim")));
        row(rows, GraphOperator.MEAN_ALL, ofAll("ReduceMean"));
        row(rows, GraphOperator.SUM_ALL, ofAll("ReduceSum"));
        row(rows, GraphOperator.MAX_ALL, ofAll("ReduceMax"));
        row(rows, GraphOperator.MIN_ALL, ofAll("ReduceMin"));
        row(rows, GraphOperator.VAR, Reductions::variance);
        row(rows, GraphOperator.STD, step -> step.node("Sqrt", variance(step)));
        row(rows, GraphOperator.NORM, Reductions::norm);
        row(rows, GraphOperator.ARGMAX, step -> place(step, "ArgMax"));
        row(rows, GraphOperator.ARGMIN, step -> place(step, "ArgMin"));
        rows.put(GraphOperator.MAX, step -> extreme(step, "ReduceMax", "ArgMax"));
        rows.put(GraphOperator.MIN, step -> extreme(step, "ReduceMin", "ArgMin"));
    }

    /** A reduction along dimensions; along all if there are none. */
    static String reduce(Draft draft, String op, String x, List<Long> axes, boolean keep) {
        boolean asInput = op.equals("ReduceSum") || draft.opset() >= OPSET_OF_AXES_AS_INPUT;
        if (axes.isEmpty()) {
            return draft.node(op, node -> node.with("keepdims", keep ? 1 : 0), x);
        }
        return asInput
                ? draft.node(
                        op,
                        node -> node.with("keepdims", keep ? 1 : 0),
                        x,
                        draft.longs(axes.stream().mapToLong(axis -> axis).toArray()))
                : draft.node(op, node -> node.with("keepdims", keep ? 1 : 0).with("axes", axes), x);
    }

    private static OperatorWriter.One along(String op) {
        return step ->
                reduce(
                        step.draft(),
                        op,
                        step.promoted(0),
                        step.axes("dim"),
                        step.call().flag("keepdim"));
    }

    private static OperatorWriter.One ofAll(String op) {
        return step -> reduce(step.draft(), op, step.promoted(0), List.of(), false);
    }

    private static String variance(Step step) {
        Draft draft = step.draft();
        List<Long> axes = step.axes("dim");
        String centred =
                step.node("Sub", step.x(), reduce(draft, "ReduceMean", step.x(), axes, true));
        String squares = step.node("Mul", centred, centred);
        boolean keep = step.call().flag("keepdim");
        double correction = step.call().number("correction");
        if (correction == 0) {
            return reduce(draft, "ReduceMean", squares, axes, keep);
        }
        String sum = reduce(draft, "ReduceSum", squares, axes, keep);
        List<Long> all = axes.isEmpty() ? Activations.range(0, step.seen().rank()) : axes;
        boolean fixed = all.stream().allMatch(axis -> step.isFixed().isFixed(0, axis.intValue()));
        if (fixed) {
            long count =
                    all.stream()
                            .map(axis -> step.seen().extent(axis))
                            .reduce(1L, Math::multiplyExact);
            return step.node("Div", sum, step.number(count - correction));
        }
        String extents =
                step.node(
                        "Gather",
                        step.node("Shape", step.x()),
                        draft.longs(all.stream().mapToLong(axis -> axis).toArray()));
        String count =
                Casts.cast(
                        draft,
                        step.result().type(),
                        reduce(draft, "ReduceProd", extents, List.of(), false));
        return step.node("Div", sum, step.node("Sub", count, step.number(correction)));
    }

    private static String norm(Step step) {
        Draft draft = step.draft();
        double order = step.call().number("ord");
        List<Long> axes = step.call().attribute("dim").isPresent() ? step.axes("dim") : List.of();
        boolean keep = step.call().flag("keepdim");
        if (order == 2) {
            return reduce(draft, "ReduceL2", step.x(), axes, keep);
        }
        String absolute = step.node("Abs", step.x());
        if (order == 1) {
            return reduce(draft, "ReduceSum", absolute, axes, keep);
        }
        if (Double.isInfinite(order)) {
            return reduce(draft, order > 0 ? "ReduceMax" : "ReduceMin", absolute, axes, keep);
        }
        if (order == 0) {
            String counted = step.node("Sign", absolute);
            return reduce(draft, "ReduceSum", counted, axes, keep);
        }
        String powers = step.node("Pow", absolute, step.number(order));
        return step.node(
                "Pow", reduce(draft, "ReduceSum", powers, axes, keep), step.number(1 / order));
    }

    private static String place(Step step, String op) {
        return step.node(
                op,
                node ->
                        node.with("axis", step.axis("dim"))
                                .with("keepdims", step.call().flag("keepdim") ? 1 : 0),
                step.x());
    }

    private static List<String> extreme(Step step, String value, String place) {
        return List.of(
                reduce(
                        step.draft(),
                        value,
                        step.x(),
                        List.of((long) step.axis("dim")),
                        step.call().flag("keepdim")),
                place(step, place));
    }
}
