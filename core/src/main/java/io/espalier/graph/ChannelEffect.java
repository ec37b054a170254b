package io.espalier.graph;

import io.espalier.tensor.Internal;

/**
 * What an operator does to the channels of its operands, by which it is known whether a channel can
 * be taken out before it.
 */
@Internal
public enum ChannelEffect {
    /** Each element of the result comes from the elements at its place, with broadcasting. */
    ELEMENTWISE,
    /** Each channel is computed from the same channel: pooling, resampling, padding. */
    WITHIN,
    /** Channels keep their places, but each depends on others: normalizations and softmax. */
    NORMALIZES,
    /** Each channel of the result comes from all of them: convolutions and matrix products. */
    MIXES,
    /** Elements keep their values and move, or some are chosen: shapes, joining, dividing. */
    MOVES,
    /** Dimensions are reduced to one number each. */
    REDUCES
}
