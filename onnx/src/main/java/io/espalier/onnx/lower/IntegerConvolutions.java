package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

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
        call.give(
                call.cast(
                        ConvolutionOperators.convolved(call, x, weight, null, 1),
                        ElementType.INT32));
    }

    private static void quantized(Call call) {
        boolean last = Layout.isChannelsLast(call);
        int rank = call.rank(3);
        Value integers = last ? Layout.channelsFirst(call, call.in(0), rank) : call.in(0);
        Value x = Steps.of(call, integers, 2, 0, ElementType.FLOAT);
        Value weight = Steps.of(call, call.in(3), 5, rank - 1, ElementType.FLOAT);
        Value bias = call.has(8) ? call.cast(call.in(8), ElementType.FLOAT) : null;
        Value sums = ConvolutionOperators.convolved(call, x, weight, bias, 3);
        Value scale = Steps.rescaling(call, 0, rank - 2);
        Value result = Steps.rounded(call, call.apply(GraphOperator.MUL, sums, scale), 7);
        call.give(last ? Layout.channelsLast(call, result, rank) : result);
    }
}
