package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.layer.QFunctional;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * Makes floats of quantized tensors: at a converted model's output, and before a layer that has no
 * int8 kernel.
 */
enum DequantizeHook implements QuantizationHook {
    INSTANCE;

    @Override
    public List<Tensor> apply(Module module, List<Tensor> tensors) {
        return inFloat(tensors);
    }

    /** The tensors with floats for those that are quantized. */
    static List<Tensor> inFloat(List<Tensor> tensors) {
        boolean any = false;
        for (Tensor tensor : tensors) {
            any |= tensor.is_quantized();
        }
        return any ? tensors.stream().map(QFunctional::inFloat).toList() : tensors;
    }
}
