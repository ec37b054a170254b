package io.espalier.onnx.model;

import io.espalier.tensor.EspalierException;

import java.util.Arrays;
import java.util.List;

/** The extents of a constant. */
final class Shape {
    private Shape() {}

    /**
     * The number of elements of these extents.
     *
     * @throws EspalierException if one is negative or the product exceeds a {@code long}
     */
    static long elements(List<Long> extents) {
        long product = 1;
        boolean empty = false;
        for (long extent : extents) {
            if (extent < 0) {
                throw new EspalierException(
                        "A constant of shape "
                                + extents
                                + " is not possible: extents are 0 or more.");
            }
            empty |= extent == 0;
        }
        if (empty) {
            return 0;
        }
        for (long extent : extents) {
            if (Math.multiplyHigh(product, extent) != 0 || product * extent < 0) {
                throw new EspalierException(
                        "A constant of shape "
                                + extents
                                + " has more elements than can be counted.");
            }
            product *= extent;
        }
        return product;
    }

    static List<Long> of(long... extents) {
        return Arrays.stream(extents).boxed().toList();
    }
}
