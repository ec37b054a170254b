package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Convolutions of integers, computed in floats, which hold sums below 2²⁴ exactly; what is to be
 * integers in the end, in double precision where a sum could be larger. Weights stay bytes in
 * memory.
 */
final class IntegerConvolutions {
    private IntegerConvolutions() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("ConvInteger", IntegerConvolutions::sums);
        table.put("QLinearConv", IntegerConvolutions::quantized);
        table.put(Operators.key(OnnxNode.MICROSOFT, "QLinearConv"), IntegerConvolutions::quantized);
    }

    private static void sums(Call call) {
        int rank = call.rank(1);
        long terms = 1;
        for (int dim = 1; dim < rank; dim++) {
            terms *= call.length(1, dim);
        }
        ElementType type = Exactness.forSums(call, terms, 0, 2, 1, 3);
        Value x = Steps.of(call, call.in(0), 2, 0, type);
        Value weight = Steps.of(call, call.in(1), 3, rank - 1, type);
        call.give(call.cast(convolved(call, x, weight, null, 1), ElementType.INT32));
    }

    private static void quantized(Call call) {
        boolean last = Layout.isChannelsLast(call);
        int rank = call.rank(3);
        Value integers = last ? Layout.channelsFirst(call, call.in(0), rank) : call.in(0);
        Value x = Steps.of(call, integers, 2, 0, ElementType.FLOAT);
        Value weight = Steps.of(call, call.in(3), 5, rank - 1, ElementType.FLOAT);
        Value bias = call.has(8) ? call.cast(call.in(8), ElementType.FLOAT) : null;
        Value sums = convolved(call, x, weight, bias, 3);
        Value scale =
                call.apply(
                        GraphOperator.DIV,
                        call.apply(
                                GraphOperator.MUL,
                                Steps.along(call, 1, 0),
                                Steps.along(call, 4, rank - 2)),
                        Steps.along(call, 6, 0));
        Value result = Steps.rounded(call, call.apply(GraphOperator.MUL, sums, scale), 7);
        call.give(last ? Layout.channelsLast(call, result, rank) : result);
    }

    private static Value convolved(
            Call call, Value x, Value weight, @Nullable Value bias, int place) {
        List<Long> kernel = new ArrayList<>();
        for (int dim = 2; dim < call.rank(place); dim++) {
            kernel.add(call.length(place, dim));
        }
        Window given = Window.of(call, kernel);
        GraphOperator operator =
                Window.byRank(
                        call,
                        given.rank(),
                        GraphOperator.CONV1D,
                        GraphOperator.CONV2D,
                        GraphOperator.CONV3D);
        boolean pads = given.isNegative() || !given.isEven();
        Window window = pads ? given.unpadded() : given;
        List<Value> operands = new ArrayList<>(List.of(pads ? given.pad(call, x, 0) : x, weight));
        if (bias != null) {
            operands.add(bias);
        }
        return call.apply(
                operator,
                Map.of(
                        "stride", window.strides(),
                        "padding", window.before(),
                        "dilation", window.dilations(),
                        "groups", call.node.integer("group", 1)),
                operands.toArray(Value[]::new));
    }
}
