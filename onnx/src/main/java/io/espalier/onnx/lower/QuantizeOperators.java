package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** Rounding to integers and back, computed in real numbers. */
final class QuantizeOperators {
    private static final double LARGEST = 255;

    private QuantizeOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("QuantizeLinear", QuantizeOperators::quantize);
        table.put("DequantizeLinear", QuantizeOperators::dequantize);
        table.put("DynamicQuantizeLinear", QuantizeOperators::dynamic);
        table.put(Operators.key(OnnxNode.MICROSOFT, "QuantizeLinear"), QuantizeOperators::quantize);
        table.put(
                Operators.key(OnnxNode.MICROSOFT, "DequantizeLinear"),
                QuantizeOperators::dequantize);
    }

    private static void quantize(Call call) {
        Value x = call.isFloat(0) ? call.in(0) : call.cast(call.in(0), ElementType.FLOAT);
        Value steps = call.apply(GraphOperator.DIV, x, beside(call, 1));
        Value zero = Steps.isZero(call, 2) ? null : beside(call, 2);
        call.give(Steps.rounded(call, steps, zero, call.resultType(0)));
    }

    private static void dequantize(Call call) {
        ElementType type = call.type(1);
        Value steps = call.cast(call.in(0), type);
        if (!Steps.isZero(call, 2)) {
            steps = call.apply(GraphOperator.SUB, steps, call.cast(beside(call, 2), type));
        }
        call.give(call.apply(GraphOperator.MUL, steps, beside(call, 1)));
    }

    /** One number for all, one for each place along the axis, or one for each block along it. */
    private static Value beside(Call call, int place) {
        long block = call.node.integer("block_size", 0);
        if (block == 0 && call.rank(place) == 0) {
            return call.fixed(place);
        }
        int axis = call.axis(call.node.integer("axis", 1), 0);
        return block == 0
                ? Steps.along(call, place, call.rank(0) - 1 - axis)
                : repeated(
                        call,
                        call.fixed(place),
                        call.rank(0),
                        axis,
                        block,
                        call.shape(0).get(axis));
    }

    /** Each number so often along a dimension, until that is so long. */
    static Value repeated(Call call, Value numbers, int rank, int axis, long times, Size length) {
        if (length instanceof Size.Unknown) {
            throw call.refused("the length of what has a scale for each block is not known");
        }
        Value apart = call.unsqueeze(numbers, axis + 1);
        List<Object> size = new ArrayList<>(Collections.nCopies(rank + 1, -1));
        size.set(axis + 1, times);
        Value all = call.apply(GraphOperator.EXPAND, Map.of("size", size), apart);
        Value flat =
                call.apply(
                        GraphOperator.FLATTEN, Map.of("start_dim", axis, "end_dim", axis + 1), all);
        return call.apply(
                GraphOperator.SLICE, Map.of("dim", axis, "start", 0, "end", length), flat);
    }

    private static void dynamic(Call call) {
        Quantized x = dynamic(call, call.in(0));
        call.give(0, x.integers);
        call.give(1, x.scale);
        call.give(2, x.zeroPoint);
    }

    /** Unsigned bytes, and what they stand for. */
    record Quantized(Value integers, Value scale, Value zeroPoint) {}

    /** Real numbers as unsigned bytes over the range that they have, with zero in it. */
    static Quantized dynamic(Call call, Value x) {
        Value low =
                call.apply(
                        GraphOperator.CLAMP,
                        Map.of("max", 0.0),
                        call.apply(GraphOperator.MIN_ALL, x));
        Value high =
                call.apply(
                        GraphOperator.CLAMP,
                        Map.of("min", 0.0),
                        call.apply(GraphOperator.MAX_ALL, x));
        Value step =
                call.apply(
                        GraphOperator.DIV_SCALAR,
                        Map.of("other", LARGEST),
                        call.apply(GraphOperator.SUB, high, low));
        // Where all is zero, the scale is 1.
        Value none =
                call.cast(
                        call.apply(GraphOperator.EQ_SCALAR, Map.of("other", 0), step),
                        ElementType.FLOAT);
        Value scale = call.apply(GraphOperator.ADD, step, none);
        Value below = call.apply(GraphOperator.NEG, call.apply(GraphOperator.DIV, low, scale));
        Value zero = integers(call, below, null);
        return new Quantized(
                integers(call, call.apply(GraphOperator.DIV, x, scale), zero), scale, zero);
    }

    private static Value integers(Call call, Value steps, @Nullable Value zero) {
        return Steps.rounded(call, steps, zero, ElementType.UINT8);
    }
}
