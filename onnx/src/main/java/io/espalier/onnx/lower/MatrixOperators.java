package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.nn.Linear;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Products of matrices; one with a constant on the right is a linear layer. */
final class MatrixOperators {
    private MatrixOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("MatMul", MatrixOperators::matMul);
        table.put("Gemm", MatrixOperators::gemm);
        table.put("Einsum", MatrixOperators::einsum);
        table.put(Operators.key(OnnxNode.MICROSOFT, "FusedMatMul"), MatrixOperators::fused);
    }

    private static void matMul(Call call) {
        ConstantTensor weight = call.weight(1);
        if (weight == null || weight.shape().size() != 2 || weight.elements() == 0) {
            call.give(call.apply(GraphOperator.MATMUL, call.in(0), call.in(1)));
            return;
        }
        OnnxNode sum = call.next("Add");
        String bias = sum == null ? null : call.constantBeside(sum);
        boolean joined = bias != null && isVector(call.constantOf(bias), weight.shape().get(1));
        Value result = linear(call, weight, false, 1, joined ? bias : null, 1);
        call.give(result);
        if (joined && sum != null) {
            call.giveInPlaceOf(sum, result);
        }
    }

    /** Whether it is one number for each of so many places along the last dimension. */
    private static boolean isVector(ConstantTensor constant, long length) {
        List<Long> shape = constant.shape();
        return constant.elements() == length && shape.size() == 1;
    }

    private static Value linear(
            Call call,
            ConstantTensor weight,
            boolean transposed,
            double alpha,
            @Nullable String bias,
            double beta) {
        long out = weight.shape().get(transposed ? 0 : 1);
        return call.call(
                1,
                Arrays.asList(Linear.class, call.node.input(1), transposed, alpha, bias, beta),
                () -> {
                    Tensor matrix = weight.toTensor();
                    return Linear.of(
                            scaled(transposed ? matrix : Constants.transposed(matrix), alpha),
                            bias == null
                                    ? null
                                    : scaled(Constants.vector(call.constantOf(bias), out), beta));
                },
                call.in(0));
    }

    private static Tensor scaled(Tensor tensor, double factor) {
        return factor == 1 ? tensor : tensor.mul(new Scalar(factor));
    }

    private static void gemm(Call call) {
        double alpha = call.node.number("alpha", 1);
        double beta = call.node.number("beta", 1);
        boolean transposedA = call.node.integer("transA", 0) != 0;
        boolean transposedB = call.node.integer("transB", 0) != 0;
        ConstantTensor weight = call.weight(1);
        ConstantTensor added = call.weight(2);
        if (weight != null && !transposedA && weight.elements() > 0) {
            long out = weight.shape().get(transposedB ? 0 : 1);
            boolean bias =
                    added != null
                            && (added.elements() == 1
                                    || (added.elements() == out && added.shape().getLast() == out));
            Value product =
                    linear(
                            call,
                            weight,
                            transposedB,
                            alpha,
                            bias ? call.node.input(2) : null,
                            beta);
            call.give(bias || !call.has(2) ? product : sum(call, product, beta));
            return;
        }
        Value a = transposedA ? transposed(call, call.in(0)) : call.in(0);
        Value b = transposedB ? transposed(call, call.in(1)) : call.in(1);
        Value product = scaled(call, call.apply(GraphOperator.MATMUL, a, b), alpha);
        call.give(call.has(2) ? sum(call, product, beta) : product);
    }

    private static Value sum(Call call, Value product, double beta) {
        return call.apply(GraphOperator.ADD, product, scaled(call, call.in(2), beta));
    }

    private static Value scaled(Call call, Value value, double factor) {
        if (factor != 1 && !call.isFloat(0)) {
            throw call.refused("its integers are multiplied by " + factor);
        }
        return call.times(value, factor);
    }

    private static Value transposed(Call call, Value matrix) {
        return call.apply(GraphOperator.TRANSPOSE, Map.of("dim0", -2, "dim1", -1), matrix);
    }

    private static void einsum(Call call) {
        Value[] operands = new Value[call.inputs()];
        for (int i = 0; i < operands.length; i++) {
            operands[i] = call.in(i);
        }
        call.give(
                call.apply(
                        GraphOperator.EINSUM,
                        Map.of("equation", call.node.text("equation", "")),
                        operands));
    }

    private static void fused(Call call) {
        boolean batches =
                call.node.integer("transBatchA", 0) != 0
                        || call.node.integer("transBatchB", 0) != 0;
        if (batches) {
            throw call.refused("it moves the dimensions of batches");
        }
        Value a = call.in(0);
        Value b = call.in(1);
        Value product =
                call.apply(
                        GraphOperator.MATMUL,
                        call.node.integer("transA", 0) != 0 ? transposed(call, a) : a,
                        call.node.integer("transB", 0) != 0 ? transposed(call, b) : b);
        call.give(call.times(product, call.node.number("alpha", 1)));
    }
}
