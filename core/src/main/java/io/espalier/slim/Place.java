package io.espalier.slim;

/**
 * A dimension of a constant.
 *
 * @param constant the constant's name
 * @param dimension counted from the first, 0
 */
public record Place(String constant, int dimension) {
    /** As it is printed: {@code conv1.weight[0]}. */
    @Override
    public String toString() {
        return constant + "[" + dimension + "]";
    }
}
