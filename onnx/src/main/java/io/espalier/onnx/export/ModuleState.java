package io.espalier.onnx.export;

import io.espalier.nn.Module;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Writes a module's parameters and buffers as it computes with them: masks applied. What it stores
 * in 16-bit floats is stored so, and widened where it is used.
 *
 * @param prefix the path of the module in the model, empty or ending with a dot
 */
record ModuleState(Draft draft, String prefix, Module module) {
    /** A parameter or buffer that must be there. */
    String tensor(String name) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor value = module.valueOrBuffer(name);
            if (isStoredHalf(name) && Tensors.type(value) == ScalarType.Float) {
                return Casts.cast(
                        draft,
                        ElementType.FLOAT,
                        draft.state(prefix + name, value.to(ScalarType.Half)));
            }
            return draft.state(prefix + name, value);
        }
    }

    private boolean isStoredHalf(String name) {
        return module.hasParameter(name)
                && Tensors.type(module.parameter(module.storedName(name))) == ScalarType.Half;
    }

    /** A parameter or buffer; empty if the module has none of this name. */
    String optional(String name) {
        return module.hasBuffer(name) || module.hasParameter(name) ? tensor(name) : "";
    }
}
