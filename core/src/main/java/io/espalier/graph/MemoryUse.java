package io.espalier.graph;

import io.espalier.tensor.Internal;

/** What a module says of the memory of its inputs and results, so that a graph can use it again. */
@Internal
public interface MemoryUse {
    /** Whether its results never share the memory of its inputs, nor that of its own tensors. */
    boolean givesNewMemory();

    /** Whether it can compute its result in the memory of its second input. */
    default boolean accumulates() {
        return false;
    }

    /** Whether the call under way may do so: nobody needs that input afterwards. */
    static boolean mayOverwrite() {
        return Program.OVERWRITES.isBound();
    }
}
