package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** Activations. */
final class Activations {
    private static final long OPSET_OF_GELU = 20;
    private static final long OPSET_OF_MISH = 18;

    /** Beyond it the softplus of x is x to the last bit of a float. */
    private static final double SOFTPLUS_IS_EXACT = 15;

    private Activations() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(rows, GraphOperator.RELU, step -> step.node("Relu", step.x()));
        row(rows, GraphOperator.RELU6, step -> clip(step.draft(), step.x(), 0, 6));
        row(rows, GraphOperator.HARDTANH, Activations::hardtanh);
        row(
                rows,
                GraphOperator.LEAKY_RELU,
                step ->
                        step.node(
                                "LeakyRelu",
                                node ->
                                        node.with(
                                                "alpha",
                                                (float) step.call().number("negative_slope")),
                                step.x()));
        row(
                rows,
                GraphOperator.PRELU,
                step -> prelu(step.draft(), step.x(), step.seen(), step.name(1), step.seen(1)));
        row(
                rows,
                GraphOperator.ELU,
                step ->
                        step.node(
                                "Elu",
                                node -> node.with("alpha", (float) step.call().number("alpha")),
                                step.x()));
        row(
                rows,
                GraphOperator.CELU,
                step ->
                        step.node(
                                "Celu",
                                node -> node.with("alpha", (float) step.call().number("alpha")),
                                step.x()));
        row(
                rows,
                GraphOperator.THRESHOLD,
                step ->
                        step.node(
                                "Where",
                                step.node(
                                        "Greater",
                                        step.x(),
                                        step.number(step.call().number("threshold"))),
                                step.x(),
                                step.number(step.call().number("value"))));
        row(rows, GraphOperator.SELU, step -> step.node("Selu", step.x()));
        row(rows, GraphOperator.GELU, Activations::gelu);
        row(rows, GraphOperator.SILU, step -> silu(step.draft(), step.x()));
        row(rows, GraphOperator.HARDSWISH, step -> step.node("HardSwish", step.x()));
        row(rows, GraphOperator.HARDSIGMOID, step -> hardsigmoid(step));
        row(rows, GraphOperator.SIGMOID, step -> step.node("Sigmoid", step.promoted(0)));
        row(rows, GraphOperator.TANH, step -> step.node("Tanh", step.promoted(0)));
        row(rows, GraphOperator.SOFTPLUS, Activations::softplus);
        row(rows, GraphOperator.MISH, Activations::mish);
        row(
                rows,
                GraphOperator.LOG_SIGMOID,
                step -> step.node("Neg", step.node("Softplus", step.node("Neg", step.x()))));
        row(rows, GraphOperator.GLU, Activations::glu);
        row(rows, GraphOperator.SOFTMAX, step -> along(step, "Softmax"));
        row(rows, GraphOperator.LOG_SOFTMAX, step -> along(step, "LogSoftmax"));
    }

    private static String along(Step step, String op) {
        return step.node(op, node -> node.with("axis", step.axis("dim")), step.x());
    }

    /** min(max(x, low), high) of floats. */
    static String clip(Draft draft, String x, double low, double high) {
        return draft.node(
                "Clip",
                x,
                draft.number(ElementType.FLOAT, low),
                draft.number(ElementType.FLOAT, high));
    }

    private static String hardtanh(Step step) {
        return step.node(
                "Clip",
                step.x(),
                step.number(step.call().number("min_val")),
                step.number(step.call().number("max_val")));
    }

    private static String hardsigmoid(Step step) {
        return step.node(
                "HardSigmoid", node -> node.with("alpha", 1 / 6f).with("beta", 0.5f), step.x());
    }

    /** x · sigmoid(x). */
    static String silu(Draft draft, String x) {
        return draft.node("Mul", x, draft.node("Sigmoid", x));
    }

    /** A slope for each channel lies along the second dimension. */
    static String prelu(Draft draft, String x, Seen seen, String slope, Seen slopeSeen) {
        List<Long> after = new ArrayList<>();
        for (long dim = 1; dim < seen.rank() - 1L; dim++) {
            after.add(dim);
        }
        boolean each = slopeSeen.shape().getFirst() > 1 && !after.isEmpty();
        String shaped =
                each
                        ? draft.node(
                                "Unsqueeze",
                                slope,
                                draft.longs(after.stream().mapToLong(dim -> dim).toArray()))
                        : slope;
        return draft.node("PRelu", x, shaped);
    }

    private static String gelu(Step step) {
        boolean exact = step.call().text("approximate").equals("none");
        if (step.draft().opset() >= OPSET_OF_GELU) {
            return step.node(
                    "Gelu", node -> exact ? node : node.with("approximate", "tanh"), step.x());
        }
        String inner;
        if (exact) {
            inner = step.node("Erf", step.node("Div", step.x(), step.number(Math.sqrt(2))));
        } else {
            String cube = step.node("Mul", step.x(), step.node("Mul", step.x(), step.x()));
            String sum = step.node("Add", step.x(), step.node("Mul", cube, step.number(0.044715)));
            inner = step.node("Tanh", step.node("Mul", sum, step.number(Math.sqrt(2 / Math.PI))));
        }
        String share = step.node("Add", inner, step.number(1));
        return step.node("Mul", step.node("Mul", step.x(), share), step.number(0.5));
    }

    private static String softplus(Step step) {
        double beta = step.call().number("beta");
        double threshold = step.call().number("threshold");
        String scaled = beta == 1 ? step.x() : step.node("Mul", step.x(), step.number(beta));
        String soft = step.node("Softplus", scaled);
        String plain = beta == 1 ? soft : step.node("Div", soft, step.number(beta));
        return threshold >= SOFTPLUS_IS_EXACT
                ? plain
                : step.node(
                        "Where",
                        step.node("Greater", scaled, step.number(threshold)),
                        step.x(),
                        plain);
    }

    private static String mish(Step step) {
        return step.draft().opset() >= OPSET_OF_MISH
                ? step.node("Mish", step.x())
                : step.node("Mul", step.x(), step.node("Tanh", step.node("Softplus", step.x())));
    }

    private static String glu(Step step) {
        int axis = step.axis("dim");
        long half = step.fixedExtent(0, axis) / 2;
        List<String> parts =
                step.draft()
                        .nodes(
                                "Split",
                                2,
                                node -> node.with("axis", axis),
                                step.x(),
                                step.draft().longs(half, half));
        return step.node("Mul", parts.getFirst(), step.node("Sigmoid", parts.getLast()));
    }

    /** Dimensions from the first to before the last. */
    static List<Long> range(long from, long to) {
        List<Long> dims = new ArrayList<>();
        for (long dim = from; dim < to; dim++) {
            dims.add(dim);
        }
        return Collections.unmodifiableList(dims);
    }
}
