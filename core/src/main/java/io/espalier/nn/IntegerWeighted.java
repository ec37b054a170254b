package io.espalier.nn;

import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;

/** A layer that keeps its weights in few bits, whatever its activations are. */
@Internal
public interface IntegerWeighted {
    /** The floats that its weights stand for now, by the names they have in the float layer. */
    Map<String, Tensor> floatWeights();
}
