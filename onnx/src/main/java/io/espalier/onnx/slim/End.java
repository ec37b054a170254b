package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

/**
 * Where channels end in a sum of products.
 *
 * @param node sums
 * @param one a dimension of an operand
 * @param other the one that it meets; null for a sum of the operand alone
 * @param groups of how many groups each sums its own; the second operand's dimension is that of one
 */
record End(OnnxNode node, Side one, @Nullable Side other, long groups) {
    /** A dimension of an operand. */
    record Side(int operand, int dimension) {}

    static End of(OnnxNode node, int operand, int dimension) {
        return new End(node, new Side(operand, dimension), null, 1);
    }

    static End of(OnnxNode node, int one, int dimension, int other, int otherDimension) {
        return new End(node, new Side(one, dimension), new Side(other, otherDimension), 1);
    }
}
