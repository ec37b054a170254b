package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Rounding to integers and back, computed in real numbers. */
final class QuantizeOperators {
    private QuantizeOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("QuantizeLinear", QuantizeOperators::quantize);
        table.put("DequantizeLinear", QuantizeOperators::dequantize);
    }

    private static void quantize(Call call) {
        ElementType type = call.resultType(0);
        Range range =
                switch (type) {
                    case UINT8 -> new Range(0, 255);
                    case INT8 -> new Range(-128, 127);
                    case INT16 -> new Range(Short.MIN_VALUE, Short.MAX_VALUE);
                    default -> throw call.refused("it makes " + type);
                };
        Value scaled = call.apply(GraphOperator.DIV, call.in(0), beside(call, call.in(1)));
        Value rounded = call.apply(GraphOperator.ROUND, scaled);
        if (call.has(2)) {
            Value zero = beside(call, call.cast(call.in(2), ElementType.FLOAT));
            rounded = call.apply(GraphOperator.ADD, rounded, zero);
        }
        Value clamped =
                call.apply(
                        GraphOperator.CLAMP, Map.of("min", range.low, "max", range.high), rounded);
        call.give(call.cast(clamped, type));
    }

    private record Range(double low, double high) {}

    private static void dequantize(Call call) {
        ElementType type = call.type(1);
        Value x = call.cast(call.in(0), type);
        if (call.has(2)) {
            Value zero = beside(call, call.cast(call.in(2), type));
            x = call.apply(GraphOperator.SUB, x, zero);
        }
        call.give(call.apply(GraphOperator.MUL, x, beside(call, call.in(1))));
    }

    /** One number for all, or one for each place along the axis. */
    private static Value beside(Call call, Value numbers) {
        if (call.node.integer("block_size", 0) != 0) {
            throw call.refused("it has a scale for each block");
        }
        if (call.rank(1) == 0 || call.shape(1).equals(List.of(Window.fixed(1)))) {
            return numbers;
        }
        int axis = call.axis(call.node.integer("axis", 1), 0);
        List<Object> shape = new ArrayList<>(List.of(-1));
        shape.addAll(Call.repeated(call.rank(0) - 1 - axis, 1));
        return call.apply(GraphOperator.RESHAPE, Map.of("shape", shape), numbers);
    }
}
