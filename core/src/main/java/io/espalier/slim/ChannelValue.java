package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.List;

/**
 * What is known of a value whose rank is known.
 *
 * @param axes the identities along each dimension
 * @param extents of each dimension
 */
@Internal
@SuppressWarnings("ArrayRecordComponent") // Never compared.
public record ChannelValue(List<Axis> axes, long[] extents) {
    /** How many dimensions it has. */
    public int rank() {
        return extents.length;
    }
}
