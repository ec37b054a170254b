package io.espalier.state;

import java.util.List;

/**
 * One line of a saved model: a parameter (with its mask, where it is pruned), or something beside
 * the parameters.
 *
 * @param name the dotted name; a pruned parameter's own, without {@code _orig}
 * @param kind what it is to the model
 * @param dtype the element type, as safetensors names it
 * @param shape the size of each dimension
 * @param elements the number of elements
 * @param bytes what it takes in the file, its mask included
 * @param denseBytes what it takes in memory, its mask included
 * @param zeros how many of the elements are 0, or masked
 */
public record StoredTensor(
        String name,
        Kind kind,
        String dtype,
        List<Long> shape,
        long elements,
        long bytes,
        long denseBytes,
        long zeros) {
    /** What a tensor is to the model. */
    public enum Kind {
        /** What is trained: a weight or a bias, also as integers. */
        PARAMETER,
        /** A parameter that is stored as {@code NAME_orig} with {@code NAME_mask}. */
        MASKED,
        /** What a layer or an observer keeps of the data it saw, such as a running mean. */
        BUFFER,
        /** A scale or a zero point of a quantized model. */
        SETTING,
        /** The best model so far, which a training's checkpoint holds beside the model. */
        BEST,
        /** An optimizer's state in a training's checkpoint. */
        OPTIMIZER,
        /** A random generator's state in a training's checkpoint. */
        GENERATOR;

        /** Whether its elements count among the model's parameters. */
        public boolean isParameter() {
            return this == PARAMETER || this == MASKED;
        }
    }

    /** The share of zeros, 0…1; 0 where there are no elements. */
    public double sparsity() {
        return elements == 0 ? 0 : (double) zeros / elements;
    }
}
