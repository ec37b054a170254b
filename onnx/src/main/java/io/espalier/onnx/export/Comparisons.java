package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.onnx.model.ElementType;

import java.util.Map;

/** Comparisons, and choices by a condition. */
final class Comparisons {
    private Comparisons() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        both(rows, GraphOperator.EQ, GraphOperator.EQ_SCALAR, "Equal", false);
        both(rows, GraphOperator.NE, GraphOperator.NE_SCALAR, "Equal", true);
        both(rows, GraphOperator.LT, GraphOperator.LT_SCALAR, "Less", false);
        both(rows, GraphOperator.LE, GraphOperator.LE_SCALAR, "LessOrEqual", false);
        both(rows, GraphOperator.GT, GraphOperator.GT_SCALAR, "Greater", false);
        both(rows, GraphOperator.GE, GraphOperator.GE_SCALAR, "GreaterOrEqual", false);
        row(rows, GraphOperator.ISNAN, step -> ofFloats(step, "IsNaN"));
        row(rows, GraphOperator.ISINF, step -> ofFloats(step, "IsInf"));
        row(
                rows,
                GraphOperator.LOGICAL_NOT,
                step -> step.node("Not", step.as(ElementType.BOOL, 0)));
        logical(rows, GraphOperator.LOGICAL_AND, "And");
        logical(rows, GraphOperator.LOGICAL_OR, "Or");
        logical(rows, GraphOperator.LOGICAL_XOR, "Xor");
        row(
                rows,
                GraphOperator.WHERE,
                step ->
                        step.node(
                                "Where",
                                step.as(ElementType.BOOL, 0),
                                step.promoted(1),
                                step.promoted(2)));
        row(
                rows,
                GraphOperator.MASKED_FILL,
                step ->
                        step.node(
                                "Where",
                                step.as(ElementType.BOOL, 1),
                                step.number(step.call().number("value")),
                                step.promoted(0)));
    }

    private static void both(
            Map<GraphOperator, OperatorWriter> rows,
            GraphOperator ofTwo,
            GraphOperator withNumber,
            String op,
            boolean not) {
        row(
                rows,
                ofTwo,
                step -> {
                    ElementType type = common(step.seen(0).type(), step.seen(1).type());
                    return negated(step, not, step.node(op, step.as(type, 0), step.as(type, 1)));
                });
        row(
                rows,
                withNumber,
                step -> {
                    double number = step.call().number("other");
                    ElementType given = comparable(step.seen().type());
                    ElementType type =
                            given.isFloating() || number == Math.rint(number)
                                    ? given
                                    : ElementType.FLOAT;
                    return negated(
                            step,
                            not,
                            step.node(op, step.as(type, 0), step.draft().number(type, number)));
                });
    }

    private static void logical(
            Map<GraphOperator, OperatorWriter> rows, GraphOperator operator, String op) {
        row(
                rows,
                operator,
                step -> step.node(op, step.as(ElementType.BOOL, 0), step.as(ElementType.BOOL, 1)));
    }

    private static String ofFloats(Step step, String op) {
        boolean narrow =
                step.seen().type() != ElementType.FLOAT && step.seen().type() != ElementType.DOUBLE;
        return step.node(op, narrow ? step.as(ElementType.FLOAT, 0) : step.x());
    }

    private static String negated(Step step, boolean not, String condition) {
        return not ? step.node("Not", condition) : condition;
    }

    /** A type in which both are compared. */
    private static ElementType common(ElementType a, ElementType b) {
        if (a == b) {
            return comparable(a);
        }
        if (a.isFloating() != b.isFloating()) {
            return a.isFloating() ? a : b;
        }
        if (a.isFloating()) {
            return a == ElementType.DOUBLE || b == ElementType.DOUBLE
                    ? ElementType.DOUBLE
                    : ElementType.FLOAT;
        }
        return ElementType.INT64;
    }

    /** Runtimes compare wide integers; narrow ones fit these. */
    private static ElementType comparable(ElementType type) {
        return type.isFloating() || type == ElementType.INT32 ? type : ElementType.INT64;
    }
}
