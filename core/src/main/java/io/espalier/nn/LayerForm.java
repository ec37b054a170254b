package io.espalier.nn;

import io.espalier.tensor.Internal;

import java.util.List;
import java.util.Optional;

/**
 * A module that computes what a layer does, with the layer's parameters as its own, but for the
 * rounding of numbers: as one that trains for integers.
 */
@Internal
public interface LayerForm {
    /** The layer, for its kind and sizes; its tensors are this module's. */
    Module geometry();

    /**
     * The tensors besides weight and bias that have a number for each of the layer's outputs, by
     * their names below this module; empty if some can't be followed when outputs go.
     */
    Optional<List<String>> alongOutputs();

    /**
     * Computes as the layer does, without rounding or looking at numbers, and is one step of a
     * program meanwhile.
     *
     * @return ends that
     */
    Runnable plain();
}
