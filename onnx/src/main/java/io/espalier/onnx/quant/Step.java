package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationResult.Layer;

import java.util.ArrayList;
import java.util.List;

/** A model on its way, and what became of its layers. */
record Step(OnnxModel model, List<Layer> layers) {
    Step then(OnnxModel next, List<Layer> more) {
        var all = new ArrayList<>(layers);
        all.addAll(more);
        return new Step(next, all);
    }

    /** This one's model: what another step after it put into integers loses too much. */
    Step without(Step after) {
        return then(
                model,
                after.layers.stream()
                        .skip(layers.size())
                        .map(layer ->
                                inFloats(layer, layer.precision() + " loses more than the budget"))
                        .toList());
    }

    /** The layers, none of them in integers. */
    static List<Layer> inFloats(List<Layer> layers) {
        return layers.stream()
                .map(layer -> inFloats(layer, "int8 makes the model no better"))
                .toList();
    }

    private static Layer inFloats(Layer layer, String why) {
        return layer.precision().equals(Recipe.FLOAT) ? layer : layer.in(Recipe.FLOAT, why);
    }
}
