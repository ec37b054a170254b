package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Map;

/**
 * What an {@link IntegerLayer} is made of.
 *
 * @param integers the weight
 * @param bias the float bias
 * @param activation what is computed of the result
 * @param input how the integers that come in stand for numbers
 * @param added the same of the second input
 * @param output the same of the result; null for floats
 */
record IntegerParts(
        IntegerWeight integers,
        @Nullable Tensor bias,
        ChainActivation activation,
        Range input,
        @Nullable Range added,
        @Nullable Range output) {
    /** The buffers that hold them in a layer, and in its file. */
    static final String WEIGHT = "weight";

    static final String BIAS = "bias";
    static final String ADDED_SCALE = "added_scale";
    static final String ADDED_ZERO_POINT = "added_zero_point";

    /** What a saved layer says. */
    static IntegerParts read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        Range input = QuantizedLayer.input(tensors);
        if (input == null) {
            throw new EspalierException("A quantized layer in the file has no range of its input.");
        }
        boolean floats = Attributes.flag(attributes, "gives_floats");
        if (floats && tensors.containsKey(ADDED_SCALE)) {
            throw new EspalierException("a layer that adds a second input gives integers");
        }
        Range output = QuantizedLayer.output(tensors);
        IntegerWeight weight =
                IntegerWeight.read(tensors, WEIGHT, Attributes.channelAxis(attributes));
        weight.requireRunsOn(WEIGHT, Engine.ONEDNN);
        return new IntegerParts(
                weight,
                tensors.get(BIAS),
                Attributes.choice(attributes, "activation", ChainActivation.class),
                input,
                tensors.containsKey(ADDED_SCALE)
                        ? Range.read(tensors, ADDED_SCALE, ADDED_ZERO_POINT)
                        : null,
                floats ? null : output);
    }

    /**
     * Keeps the tensors in a layer's buffers; the ranges of input and output are kept by itself.
     */
    void addTo(Module layer) {
        integers.addTo(layer, WEIGHT);
        if (bias != null) {
            layer.addBuffer(BIAS, bias);
        }
        if (added != null) {
            added.addTo(layer, ADDED_SCALE, ADDED_ZERO_POINT);
        }
    }
}
