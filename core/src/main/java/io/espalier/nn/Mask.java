package io.espalier.nn;

import io.espalier.tensor.Internal;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * Multiplies a parameter by its owner's buffer {@code NAME_mask}: 0 prunes an element, 1 keeps it.
 *
 * @param name the parameter's public name, such as {@code "weight"}
 */
@Internal
public record Mask(String name) implements Parametrization {
    private static final String ORIGINAL = "_orig";
    private static final String MASK = "_mask";

    /** The name under which a masked parameter is stored, PyTorch's {@code NAME_orig}. */
    public String storedName() {
        return name + ORIGINAL;
    }

    /** The name of the mask's buffer, PyTorch's {@code NAME_mask}. */
    public String bufferName() {
        return name + MASK;
    }

    /** Whether a tensor holds 0 and 1 alone: what else it held would scale what it keeps. */
    public static boolean isMask(Tensor tensor) {
        try (var scope = new PointerScope()) {
            return tensor.eq(new Scalar(0)).logical_or(tensor.eq(new Scalar(1))).all().item_bool();
        }
    }

    @Override
    public Tensor apply(Module owner, Tensor value) {
        return value.mul(owner.buffer(bufferName()));
    }

    @Override
    public List<String> buffers() {
        return List.of(bufferName());
    }
}
