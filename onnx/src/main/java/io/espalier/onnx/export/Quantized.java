package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Arithmetic of quantized tensors, in floats. The results are rounded by {@link GraphWriter}, as
 * all that was quantized in the example's run.
 */
final class Quantized {
    private Quantized() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(rows, GraphOperator.QUANTIZE, Step::x);
        row(rows, GraphOperator.DEQUANTIZE, Step::x);
        row(rows, GraphOperator.QUANTIZED_ADD, step -> step.node("Add", step.x(), step.name(1)));
        row(rows, GraphOperator.QUANTIZED_MUL, step -> step.node("Mul", step.x(), step.name(1)));
        row(
                rows,
                GraphOperator.QUANTIZED_ADD_RELU,
                step -> step.node("Relu", step.node("Add", step.x(), step.name(1))));
        row(
                rows,
                GraphOperator.QUANTIZED_ADD_SCALAR,
                step -> step.node("Add", step.x(), step.number(step.call().number("b"))));
        row(
                rows,
                GraphOperator.QUANTIZED_MUL_SCALAR,
                step -> step.node("Mul", step.x(), step.number(step.call().number("b"))));
        row(rows, GraphOperator.QUANTIZED_CAT, Quantized::cat);
    }

    private static String cat(Step step) {
        List<String> parts = new ArrayList<>(step.names());
        long axis = step.result().axis(step.call().integer("dim"));
        return step.node("Concat", node -> node.with("axis", axis), parts.toArray(String[]::new));
    }
}
