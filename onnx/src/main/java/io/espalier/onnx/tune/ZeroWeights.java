package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/** Zeros in a model's weights, by which a pruned one is known. */
final class ZeroWeights {
    private ZeroWeights() {}

    /** Whether a layer that could be pruned has some. */
    static boolean areIn(OnnxModel model) {
        return PrunableLayer.of(model).stream()
                .anyMatch(layer -> {
                    try (var scope = new PointerScope()) {
                        Tensor weight = layer.weight().tensor().toTensor();
                        return weight.count_nonzero().item_long() < weight.numel();
                    }
                });
    }
}
