package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
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
 * @param perTensor whether all channels of a weight share one scale
 */
record WeightRounding(
        int limit, boolean storesFloats, Predicate<OnnxNode> mayBeStored, boolean perTensor) {
    WeightRounding(int limit, boolean storesFloats) {
        this(limit, storesFloats, node -> true, false);
    }

    WeightRounding withOneScale() {
        return new WeightRounding(limit, storesFloats, mayBeStored, true);
    }

    /** Whether the weight of a node that stays float is kept as integers. */
    boolean stores(OnnxNode node) {
        return storesFloats && mayBeStored.test(node);
    }

    /** A weight rounded so, a scale for each channel along an axis unless one serves all. */
    RoundedWeight rounded(int axis, ConstantTensor weight) {
        return shared(RoundedWeight.along(axis, weight, limit), weight);
    }

    /**
     * @param floors the least scale that each channel may have
     */
    RoundedWeight rounded(int axis, ConstantTensor weight, float[] floors) {
        return shared(RoundedWeight.along(axis, weight, limit, floors), weight);
    }

    private RoundedWeight shared(RoundedWeight rounded, ConstantTensor weight) {
        return perTensor ? rounded.perTensor(weight, limit) : rounded;
    }
}
