package io.espalier.slim;

import io.espalier.graph.Node;

import org.jspecify.annotations.Nullable;

/**
 * Where channels end in a sum of products.
 *
 * @param node sums
 * @param one a dimension of an operand
 * @param other the one that it meets; null for a sum of the operand alone
 * @param groups of how many groups each sums its own; the second operand's dimension is that of one
 */
record ModelEnd(Node node, Side one, @Nullable Side other, long groups) {
    /** A dimension of an operand. */
    record Side(ModelOperand operand, int dimension) {
        /** The dimension of the constant that it is; null if it is none. */
        @Nullable Place place() {
            String name = operand.constant();
            return name == null ? null : new Place(name, dimension);
        }
    }
}
