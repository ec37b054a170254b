package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.OnnxNode;

import java.util.function.Predicate;

/**
 * How weights become integers.
 *
 * @param limit the largest code: 127, or 63 for machines on which sums of two products of 8 bits
 *     saturate
 * @param storesFloats whether weights of what stays float are kept as integers too, which costs
 *     nothing when the model runs
 * @param mayBeStored the nodes of which that may be
 */
record WeightRounding(int limit, boolean storesFloats, Predicate<OnnxNode> mayBeStored) {
    WeightRounding(int limit, boolean storesFloats) {
        this(limit, storesFloats, node -> true);
    }

    /** Whether the weight of a node that stays float is kept as integers. */
    boolean stores(OnnxNode node) {
        return storesFloats && mayBeStored.test(node);
    }
}
