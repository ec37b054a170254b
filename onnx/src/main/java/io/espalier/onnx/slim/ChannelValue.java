package io.espalier.onnx.slim;

import io.espalier.slim.Axis;

import java.util.List;

/**
 * What is known of a value whose rank is known.
 *
 * @param axes the identities along each dimension
 * @param extents of each dimension, with a large prime for each size that is free
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
record ChannelValue(List<Axis> axes, long[] extents) {
    int rank() {
        return extents.length;
    }
}
