package io.espalier.quant.layer;

import io.espalier.nn.Module;

import java.util.Map;

/**
 * A layer of a converted model. A file names its class, and holds its tensors and attributes; its
 * {@link LayerKind#forms kind} reads it again.
 */
public interface SavedForm {
    /** What a file must say of it besides its tensors. */
    Map<String, String> attributes();

    /**
     * Whether it can stand for a layer of a float model, so that a file that has it there is the
     * model's.
     */
    boolean standsFor(Module layer);

    /** Whether it is handed integers as they are, rather than floats. */
    default boolean takesIntegers() {
        return true;
    }
}
