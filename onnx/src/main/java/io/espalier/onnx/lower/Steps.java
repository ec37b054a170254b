package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Integers that stand for {@code (integer − zero point) · scale}, computed with as real numbers. A
 * step is an integer less its zero point.
 */
final class Steps {
    private Steps() {}

    /** The steps of an input that has one zero point. */
    static Value of(Call call, int integers, int zeroPoint) {
        return of(call, call.in(integers), zeroPoint, 0, ElementType.FLOAT);
    }

    /**
     * Steps of integers.
     *
     * @param trailing how many dimensions follow the one that has a zero point for each place
     * @param type what they become
     */
    static Value of(Call call, Value integers, int zeroPoint, int trailing, ElementType type) {
        Value numbers = call.cast(integers, type);
        return isZero(call, zeroPoint)
                ? numbers
                : call.apply(
                        GraphOperator.SUB,
                        numbers,
                        call.cast(along(call, zeroPoint, trailing), type));
    }

    /** What an input stands for, with one scale and one zero point. */
    static Value numbers(Call call, int integers, int scale, int zeroPoint) {
        return call.apply(GraphOperator.MUL, of(call, integers, zeroPoint), along(call, scale, 0));
    }

    /** Whether an input is left out, or constant and zero everywhere. */
    static boolean isZero(Call call, int place) {
        ConstantTensor constant = call.constant(place);
        return !call.has(place)
                || (constant != null
                        && Arrays.stream(Constants.doubles(constant)).allMatch(n -> n == 0));
    }

    /**
     * Scales or zero points: one number for all, or one for each place along a dimension that so
     * many others follow.
     */
    static Value along(Call call, int place, int trailing) {
        Value numbers = call.fixed(place);
        if (trailing == 0
                || call.rank(place) != 1
                || call.shape(place).equals(List.of(Window.fixed(1)))) {
            return numbers;
        }
        List<Object> shape = new ArrayList<>(List.of(-1));
        shape.addAll(Call.repeated(trailing, 1));
        return call.apply(GraphOperator.RESHAPE, Map.of("shape", shape), numbers);
    }

    /**
     * What steps of products become steps of the result by: the scales of both factors, inputs 1
     * and 4, by that of the result, input 6.
     *
     * @param first how many dimensions follow the first factor's scales
     * @param second how many follow the second's
     */
    static Value rescaling(Call call, int first, int second) {
        Value scales = call.apply(GraphOperator.MUL, along(call, 1, first), along(call, 4, second));
        return call.apply(GraphOperator.DIV, scales, along(call, 6, 0));
    }

    /** Real numbers as the integers of the first result, whose scale and zero point are inputs. */
    static void give(Call call, Value numbers, int scale, int zeroPoint) {
        Value steps = call.apply(GraphOperator.DIV, numbers, along(call, scale, 0));
        call.give(rounded(call, steps, zeroPoint));
    }

    /** Steps that are not whole yet as integers of the type of the first result. */
    static Value rounded(Call call, Value steps, int zeroPoint) {
        return rounded(
                call,
                steps,
                isZero(call, zeroPoint) ? null : along(call, zeroPoint, 0),
                call.resultType(0));
    }

    /** The nearest integers that the type has, of halves the even one. */
    static Value rounded(Call call, Value steps, @Nullable Value zeroPoint, ElementType type) {
        Range range =
                switch (type) {
                    case UINT8 -> new Range(0, 255);
                    case INT8 -> new Range(-128, 127);
                    case INT16 -> new Range(Short.MIN_VALUE, Short.MAX_VALUE);
                    default -> throw call.refused("it makes " + type);
                };
        Value rounded = call.apply(GraphOperator.ROUND, steps);
        if (zeroPoint != null) {
            rounded =
                    call.apply(GraphOperator.ADD, rounded, call.cast(zeroPoint, ElementType.FLOAT));
        }
        Map<String, Double> ends = Map.of("min", range.low, "max", range.high);
        return call.cast(call.apply(GraphOperator.CLAMP, ends, rounded), type);
    }

    private record Range(double low, double high) {}
}
