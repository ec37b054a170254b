package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

import java.util.List;
import java.util.Map;

/**
 * Products of matrices of integers, computed in floats where those hold all sums exactly, else in
 * double precision. Weights stay bytes in memory.
 */
final class IntegerProducts {
    private static final ElementType FLOAT = ElementType.FLOAT;

    private IntegerProducts() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("MatMulInteger", IntegerProducts::sums);
        table.put("QLinearMatMul", IntegerProducts::quantized);
        table.put(own("MatMulIntegerToFloat"), IntegerProducts::toFloat);
        table.put(own("DynamicQuantizeMatMul"), IntegerProducts::dynamic);
        table.put(own("QGemm"), IntegerProducts::gemm);
    }

    private static String own(String op) {
        return Operators.key(OnnxNode.MICROSOFT, op);
    }

    /** How many products make a sum, if that is the same in each call, else −1. */
    private static long terms(Call call, int place, int fromEnd) {
        List<Size> shape = call.shape(place);
        int dim = Math.max(shape.size() - fromEnd, 0);
        return shape.get(dim) instanceof Size.Fixed(long length) ? length : -1;
    }

    private static void sums(Call call) {
        ElementType type = Exactness.forSums(call, terms(call, 1, 2), 0, 2, 1, 3);
        Value a = Steps.of(call, call.in(0), 2, 1, type);
        Value b = Steps.of(call, call.in(1), 3, 0, type);
        call.give(call.cast(call.apply(GraphOperator.MATMUL, a, b), ElementType.INT32));
    }

    private static void quantized(Call call) {
        ElementType type = Exactness.forSums(call, terms(call, 3, 2), 0, 2, 3, 5);
        Value a = Steps.of(call, call.in(0), 2, 1, type);
        Value b = Steps.of(call, call.in(3), 5, 0, type);
        Value sums = call.cast(call.apply(GraphOperator.MATMUL, a, b), FLOAT);
        Value scale = Steps.rescaling(call, 1, 0);
        call.give(Steps.rounded(call, call.apply(GraphOperator.MUL, sums, scale), 7));
    }

    private static void toFloat(Call call) {
        ElementType type = Exactness.forSums(call, terms(call, 1, 2), 0, 4, 1, 5);
        Value a = Steps.of(call, call.in(0), 4, 0, type);
        Value b = Steps.of(call, call.in(1), 5, 0, type);
        Value scale =
                call.apply(GraphOperator.MUL, Steps.along(call, 2, 0), Steps.along(call, 3, 0));
        call.give(floats(call, call.apply(GraphOperator.MATMUL, a, b), scale, 6));
    }

    private static void dynamic(Call call) {
        QuantizeOperators.Quantized x = QuantizeOperators.dynamic(call, call.in(0));
        ElementType type = Exactness.forSums(call, terms(call, 1, 2), 0, 0, 1, 3);
        Value a =
                call.apply(
                        GraphOperator.SUB,
                        call.cast(x.integers(), type),
                        call.cast(x.zeroPoint(), type));
        Value b = Steps.of(call, call.in(1), 3, 0, type);
        Value scale = call.apply(GraphOperator.MUL, x.scale(), Steps.along(call, 2, 0));
        call.give(floats(call, call.apply(GraphOperator.MATMUL, a, b), scale, 4));
    }

    /** Sums times their scale, and a bias. */
    private static Value floats(Call call, Value sums, Value scale, int bias) {
        Value product = call.apply(GraphOperator.MUL, call.cast(sums, FLOAT), scale);
        return call.has(bias) ? call.apply(GraphOperator.ADD, product, call.in(bias)) : product;
    }

    private static void gemm(Call call) {
        boolean transposedA = call.node.integer("transA", 0) != 0;
        boolean transposedB = call.node.integer("transB", 0) != 0;
        ElementType type = Exactness.forSums(call, terms(call, 3, transposedB ? 1 : 2), 0, 2, 3, 5);
        Value a = Steps.of(call, call.in(0), 2, 0, type);
        Value b = Steps.of(call, call.in(3), 5, transposedB ? 1 : 0, type);
        Value sums =
                call.apply(
                        GraphOperator.MATMUL,
                        transposedA ? transposed(call, a) : a,
                        transposedB ? transposed(call, b) : b);
        if (call.has(6)) {
            sums = call.apply(GraphOperator.ADD, sums, call.cast(call.in(6), type));
        }
        Value scale =
                call.times(
                        call.apply(
                                GraphOperator.MUL,
                                Steps.along(call, 1, 0),
                                Steps.along(call, 4, 0)),
                        call.node.number("alpha", 1));
        Value numbers = call.apply(GraphOperator.MUL, call.cast(sums, FLOAT), scale);
        if (call.has(7)) {
            Steps.give(call, numbers, 7, 8);
        } else {
            call.give(numbers);
        }
    }

    private static Value transposed(Call call, Value matrix) {
        return call.apply(GraphOperator.TRANSPOSE, Map.of("dim0", -2, "dim1", -1), matrix);
    }
}
