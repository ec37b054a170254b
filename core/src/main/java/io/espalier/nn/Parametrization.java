package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * A function between a parameter as it is stored and the value that {@code forward} sees: a mask, a
 * fake quantization, or several in a row. It is the only mechanism behind pruning and
 * quantization-aware training, which is why they compose.
 *
 * <p>A parametrization keeps no tensor and no module of its own: what it needs (a mask, an
 * observer) it finds by name in the owner it is given, so the same object serves every copy of the
 * module.
 */
public interface Parametrization {
    /**
     * The value for {@code forward}.
     *
     * @param owner the module that holds the parameter
     * @param value the stored parameter, or what the parametrization before this one gave
     */
    Tensor apply(Module owner, Tensor value);

    /**
     * Where in the chain it stands; lower is nearer to the stored parameter. A mask is 0, a fake
     * quantization 100.
     */
    default int order() {
        return 0;
    }

    /**
     * The owner's buffers that have an element for each of the parameter's, such as a mask: whoever
     * chooses channels of the parameter chooses them there too.
     */
    default List<String> buffers() {
        return List.of();
    }
}
