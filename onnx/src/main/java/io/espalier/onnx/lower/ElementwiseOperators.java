package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.jspecify.annotations.Nullable;

import java.util.Map;
import java.util.stream.LongStream;

/** Arithmetic, comparisons and logic by elements. */
final class ElementwiseOperators {
    private static final Map<String, GraphOperator> UNARY =
            Map.ofEntries(
                    Map.entry("Neg", GraphOperator.NEG),
                    Map.entry("Abs", GraphOperator.ABS),
                    Map.entry("Sqrt", GraphOperator.SQRT),
                    Map.entry("Reciprocal", GraphOperator.RECIPROCAL),
                    Map.entry("Exp", GraphOperator.EXP),
                    Map.entry("Log", GraphOperator.LOG),
                    Map.entry("Sin", GraphOperator.SIN),
                    Map.entry("Cos", GraphOperator.COS),
                    Map.entry("Tan", GraphOperator.TAN),
                    Map.entry("Asin", GraphOperator.ASIN),
                    Map.entry("Acos", GraphOperator.ACOS),
                    Map.entry("Atan", GraphOperator.ATAN),
                    Map.entry("Sinh", GraphOperator.SINH),
                    Map.entry("Cosh", GraphOperator.COSH),
                    Map.entry("Asinh", GraphOperator.ASINH),
                    Map.entry("Acosh", GraphOperator.ACOSH),
                    Map.entry("Atanh", GraphOperator.ATANH),
                    Map.entry("Erf", GraphOperator.ERF),
                    Map.entry("Floor", GraphOperator.FLOOR),
                    Map.entry("Ceil", GraphOperator.CEIL),
                    Map.entry("Round", GraphOperator.ROUND),
                    Map.entry("Sign", GraphOperator.SIGN),
                    Map.entry("IsNaN", GraphOperator.ISNAN),
                    Map.entry("Not", GraphOperator.LOGICAL_NOT));

    private static final Map<String, GraphOperator> BINARY =
            Map.of(
                    "And", GraphOperator.LOGICAL_AND,
                    "Or", GraphOperator.LOGICAL_OR,
                    "Xor", GraphOperator.LOGICAL_XOR,
                    "Equal", GraphOperator.EQ,
                    "Greater", GraphOperator.GT,
                    "GreaterOrEqual", GraphOperator.GE,
                    "Less", GraphOperator.LT,
                    "LessOrEqual", GraphOperator.LE);

    private ElementwiseOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        UNARY.forEach((name, operator) ->
                table.put(name, call -> call.give(call.apply(operator, call.in(0)))));
        BINARY.forEach((name, operator) ->
                table.put(name, call -> call.give(call.apply(operator, call.in(0), call.in(1)))));
        table.put("Add", call -> commutative(call, GraphOperator.ADD, GraphOperator.ADD_SCALAR));
        table.put("Mul", call -> commutative(call, GraphOperator.MUL, GraphOperator.MUL_SCALAR));
        table.put("Sub", call -> binary(call, GraphOperator.SUB, GraphOperator.SUB_SCALAR));
        table.put("Div", ElementwiseOperators::divide);
        table.put("Pow", ElementwiseOperators::power);
        table.put("Mod", ElementwiseOperators::modulo);
        table.put("Max", call -> call.give(folded(call, GraphOperator.MAXIMUM)));
        table.put("Min", call -> call.give(folded(call, GraphOperator.MINIMUM)));
        table.put("Sum", call -> call.give(folded(call, GraphOperator.ADD)));
        table.put(
                "Mean",
                call ->
                        call.give(
                                call.times(folded(call, GraphOperator.ADD), 1.0 / call.inputs())));
        table.put(
                "Where",
                call ->
                        call.give(
                                call.apply(
                                        GraphOperator.WHERE, call.in(0), call.in(1), call.in(2))));
        table.put("IsInf", ElementwiseOperators::infinite);
        table.put("Cast", call -> cast(call, ElementType.of((int) call.node.integer("to", 0))));
        table.put("CastLike", call -> cast(call, call.type(1)));
        table.put("Identity", call -> call.give(call.in(0)));
        table.put("Dropout", ElementwiseOperators::dropout);
    }

    private static void commutative(Call call, GraphOperator tensors, GraphOperator number) {
        Double left = numberBeside(call, 0, 1);
        if (left != null) {
            call.give(call.apply(number, Map.of("other", left), call.in(1)));
        } else {
            binary(call, tensors, number);
        }
    }

    private static void binary(Call call, GraphOperator tensors, GraphOperator number) {
        Double right = numberBeside(call, 1, 0);
        call.give(
                right != null
                        ? call.apply(number, Map.of("other", right), call.in(0))
                        : call.apply(tensors, call.in(0), call.in(1)));
    }

    /** A constant's only element, if it gives the other input no more dimensions. */
    private static @Nullable Double numberBeside(Call call, int place, int other) {
        Double number = call.scalar(place);
        return number != null
                        && (call.rank(place) == 0
                                || (call.knowsShape(other) && call.rank(place) <= call.rank(other)))
                ? number
                : null;
    }

    private static void divide(Call call) {
        if (call.isFloat(0)) {
            binary(call, GraphOperator.DIV, GraphOperator.DIV_SCALAR);
        } else {
            call.give(
                    call.apply(
                            GraphOperator.DIV_ROUNDED,
                            Map.of("rounding_mode", "trunc"),
                            call.in(0),
                            divisor(call)));
        }
    }

    /**
     * What integers are divided by: 1 in the place of -1 where the least integer is divided, whose
     * quotient the processor would stop the process for. It is the least integer again, as in two's
     * complement.
     */
    private static Value divisor(Call call) {
        ElementType type = call.type(0);
        ConstantTensor constant = call.constant(1);
        boolean never =
                constant != null && LongStream.of(constant.toLongs()).noneMatch(each -> each == -1);
        if (never || (type != ElementType.INT32 && type != ElementType.INT64)) {
            return call.in(1);
        }
        long least = type == ElementType.INT32 ? Integer.MIN_VALUE : Long.MIN_VALUE;
        return call.apply(
                GraphOperator.WHERE,
                call.apply(
                        GraphOperator.LOGICAL_AND,
                        call.apply(GraphOperator.EQ, call.in(0), number(call, "least", least)),
                        call.apply(GraphOperator.EQ, call.in(1), number(call, "minus_one", -1))),
                number(call, "one", 1),
                call.in(1));
    }

    private static Value number(Call call, String name, long number) {
        return call.constant(name, Tensors.of(new long[] {number}).to(call.type(0).libtorch()));
    }

    private static void power(Call call) {
        Double exponent = numberBeside(call, 1, 0);
        if (exponent != null && call.isFloat(0)) {
            call.give(
                    call.apply(GraphOperator.POW_SCALAR, Map.of("exponent", exponent), call.in(0)));
            return;
        }
        Value power = call.apply(GraphOperator.POW, call.in(0), call.in(1));
        call.give(call.type(0) == call.type(1) ? power : call.cast(power, call.type(0)));
    }

    private static void modulo(Call call) {
        requireArithmetic(call);
        boolean signed = call.node.integer("fmod", 0) == 0;
        call.give(
                call.apply(
                        signed ? GraphOperator.REMAINDER : GraphOperator.FMOD,
                        call.in(0),
                        call.in(1)));
    }

    /** libtorch stores these types, and computes next to nothing with them. */
    private static void requireArithmetic(Call call) {
        switch (call.type(0)) {
            case UINT16, UINT32, UINT64 -> throw call.refused("its elements are " + call.type(0));
            default -> {}
        }
    }

    private static Value folded(Call call, GraphOperator operator) {
        if (call.inputs() > 1) {
            requireArithmetic(call);
        }
        Value all = call.in(0);
        for (int i = 1; i < call.inputs(); i++) {
            all = call.apply(operator, all, call.in(i));
        }
        return all;
    }

    private static void infinite(Call call) {
        boolean negative = call.node.integer("detect_negative", 1) != 0;
        boolean positive = call.node.integer("detect_positive", 1) != 0;
        if (negative && positive) {
            call.give(call.apply(GraphOperator.ISINF, call.in(0)));
        } else if (negative || positive) {
            double infinite = negative ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
            call.give(call.apply(GraphOperator.EQ_SCALAR, Map.of("other", infinite), call.in(0)));
        } else {
            throw call.refused("it looks for no infinity");
        }
    }

    private static void cast(Call call, ElementType to) {
        call.give(call.type(0) == to ? call.in(0) : call.cast(call.in(0), to));
    }

    /** Nothing is dropped when a model is run. */
    private static void dropout(Call call) {
        Double ratio = call.has(1) ? call.scalar(1) : null;
        boolean trains = call.has(2) && (call.constant(2) == null || call.longs(2).getFirst() != 0);
        if (trains && (ratio == null || ratio != 0)) {
            throw call.refused("it may drop elements, as in training");
        }
        call.give(call.in(0));
        if (call.wants(1)) {
            Value unequal = call.apply(GraphOperator.NE, call.in(0), call.in(0));
            Value equal = call.apply(GraphOperator.EQ, call.in(0), call.in(0));
            call.give(1, call.apply(GraphOperator.LOGICAL_OR, unequal, equal));
        }
    }
}
