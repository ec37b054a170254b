package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.onnx.model.ElementType;

import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Map;

/** Arithmetic by elements: operands of different types become the result's type, as in libtorch. */
final class Arithmetic {
    private Arithmetic() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(rows, GraphOperator.ADD, binary("Add"));
        row(rows, GraphOperator.SUB, binary("Sub"));
        row(rows, GraphOperator.MUL, binary("Mul"));
        row(rows, GraphOperator.DIV, binary("Div"));
        row(rows, GraphOperator.POW, binary("Pow"));
        row(rows, GraphOperator.MAXIMUM, binary("Max"));
        row(rows, GraphOperator.MINIMUM, binary("Min"));
        row(
                rows,
                GraphOperator.ADDCMUL,
                step ->
                        step.node(
                                "Add",
                                step.promoted(0),
                                step.node("Mul", step.promoted(1), step.promoted(2))));
        row(rows, GraphOperator.ADD_SCALAR, withNumber("Add", "other"));
        row(rows, GraphOperator.SUB_SCALAR, withNumber("Sub", "other"));
        row(rows, GraphOperator.MUL_SCALAR, withNumber("Mul", "other"));
        row(rows, GraphOperator.DIV_SCALAR, withNumber("Div", "other"));
        row(rows, GraphOperator.POW_SCALAR, withNumber("Pow", "exponent"));
        row(rows, GraphOperator.NEG, unary("Neg"));
        row(rows, GraphOperator.ABS, unary("Abs"));
        row(rows, GraphOperator.SQRT, unary("Sqrt"));
        row(rows, GraphOperator.RECIPROCAL, unary("Reciprocal"));
        row(rows, GraphOperator.EXP, unary("Exp"));
        row(rows, GraphOperator.LOG, unary("Log"));
        row(rows, GraphOperator.SIN, unary("Sin"));
        row(rows, GraphOperator.COS, unary("Cos"));
        row(rows, GraphOperator.ERF, unary("Erf"));
        row(rows, GraphOperator.TAN, unary("Tan"));
        row(rows, GraphOperator.ASIN, unary("Asin"));
        row(rows, GraphOperator.ACOS, unary("Acos"));
        row(rows, GraphOperator.ATAN, unary("Atan"));
        row(rows, GraphOperator.SINH, unary("Sinh"));
        row(rows, GraphOperator.COSH, unary("Cosh"));
        row(rows, GraphOperator.ASINH, unary("Asinh"));
        row(rows, GraphOperator.ACOSH, unary("Acosh"));
        row(rows, GraphOperator.ATANH, unary("Atanh"));
        row(rows, GraphOperator.SIGN, unary("Sign"));
        row(rows, GraphOperator.DIV_ROUNDED, Arithmetic::dividedRounded);
        row(rows, GraphOperator.REMAINDER, Arithmetic::remainder);
        row(
                rows,
                GraphOperator.FMOD,
                step ->
                        step.node(
                                "Mod",
                                node -> node.with("fmod", 1),
                                step.promoted(0),
                                step.promoted(1)));
        row(rows, GraphOperator.CEIL, whole("Ceil"));
        row(rows, GraphOperator.FLOOR, whole("Floor"));
        row(rows, GraphOperator.ROUND, whole("Round"));
        row(
                rows,
                GraphOperator.RSQRT,
                step -> step.node("Reciprocal", step.node("Sqrt", step.promoted(0))));
        row(
                rows,
                GraphOperator.CAST,
                step ->
                        step.as(
                                Weights.type(
                                        (ScalarType) step.call().attribute("dtype").orElseThrow()),
                                0));
        row(
                rows,
                GraphOperator.CLAMP,
                step ->
                        step.node(
                                "Clip", step.promoted(0), bound(step, "min"), bound(step, "max")));
    }

    private static String bound(Step step, String attribute) {
        return step.call()
                .attribute(attribute)
                .map(value -> step.number((Double) value))
                .orElse("");
    }

    private static OperatorWriter.One binary(String op) {
        return step -> step.node(op, step.promoted(0), step.promoted(1));
    }

    private static OperatorWriter.One withNumber(String op, String attribute) {
        return step -> step.node(op, step.promoted(0), step.number(step.call().number(attribute)));
    }

    private static OperatorWriter.One unary(String op) {
        return step -> step.node(op, step.promoted(0));
    }

    /** Whole numbers are cut towards zero by ONNX's division already. */
    private static String dividedRounded(Step step) {
        String a = step.promoted(0);
        String b = step.promoted(1);
        String quotient = step.node("Div", a, b);
        String mode = step.call().attribute("rounding_mode").map(String::valueOf).orElse("");
        boolean whole = isWhole(step.result().type());
        if (mode.isEmpty() || (whole && mode.equals("trunc"))) {
            return quotient;
        }
        if (!whole) {
            return mode.equals("floor")
                    ? step.node("Floor", quotient)
                    : step.node(
                            "Mul",
                            step.node("Sign", quotient),
                            step.node("Floor", step.node("Abs", quotient)));
        }
        String rest = step.node("Sub", a, step.node("Mul", quotient, b));
        return step.node(
                "Where",
                isOfOtherSign(step, rest, b),
                step.node("Sub", quotient, step.number(1)),
                quotient);
    }

    /** What is left of a division, with the divisor's sign. */
    private static String remainder(Step step) {
        String a = step.promoted(0);
        String b = step.promoted(1);
        String rest = step.node("Mod", node -> node.with("fmod", 1), a, b);
        return step.node("Where", isOfOtherSign(step, rest, b), step.node("Add", rest, b), rest);
    }

    /** Whether a number is not zero and its sign not the other's. */
    private static String isOfOtherSign(Step step, String number, String other) {
        String zero = step.number(0);
        String differs =
                step.node("Xor", step.node("Less", number, zero), step.node("Less", other, zero));
        return step.node("And", differs, step.node("Not", step.node("Equal", number, zero)));
    }

    /** What does nothing to whole numbers. */
    private static OperatorWriter.One whole(String op) {
        return step -> isWhole(step.seen().type()) ? step.x() : step.node(op, step.x());
    }

    static boolean isWhole(ElementType type) {
        return !type.isFloating();
    }
}
