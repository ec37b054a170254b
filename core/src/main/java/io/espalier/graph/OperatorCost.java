package io.espalier.graph;

import java.util.Arrays;
import java.util.List;

/** What operators multiply. */
final class OperatorCost {
    private OperatorCost() {}

    /**
     * The multiplications of a call, each with an addition; those by elements count for nothing.
     *
     * @param operands the shapes of those that are given, in the operator's order
     */
    static long macs(GraphOperator operator, List<long[]> operands, List<long[]> results) {
        return switch (operator) {
            case LINEAR, CONV1D, CONV2D, CONV3D ->
                    numel(results.getFirst()) * perChannel(operands.get(1));
            case CONV_TRANSPOSE1D, CONV_TRANSPOSE2D, CONV_TRANSPOSE3D ->
                    numel(operands.getFirst()) * perChannel(operands.get(1));
            case MATMUL, BMM -> {
                long[] a = operands.getFirst();
                yield numel(results.getFirst()) * a[a.length - 1];
            }
            case SCALED_DOT_PRODUCT_ATTENTION -> {
                long[] key = operands.get(1);
                long keys = key[key.length - 2];
                yield (numel(operands.getFirst()) + numel(results.getFirst())) * keys;
            }
            default -> 0;
        };
    }

    /** The elements of a weight for each of its first dimension. */
    private static long perChannel(long[] weight) {
        return weight.length == 0 || weight[0] == 0 ? 0 : numel(weight) / weight[0];
    }

    private static long numel(long[] shape) {
        return Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    }
}
