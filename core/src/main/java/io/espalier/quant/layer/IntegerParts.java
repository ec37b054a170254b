package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;
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
 * @param inPlace whether the result takes the second input's memory
 */
record IntegerParts(
        IntegerWeight integers,
        @Nullable Tensor bias,
        ChainActivation activation,
        Range input,
        @Nullable Range added,
        @Nullable Range output,
        boolean inPlace) {
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
        boolean floats = Boolean.parseBoolean(attributes.get("gives_floats"));
        return new IntegerParts(
                IntegerWeight.read(tensors, WEIGHT, PackedLayer.channelAxis(attributes)),
                tensors.get(BIAS),
                ChainActivation.valueOf(attributes.getOrDefault("activation", "")),
                input,
                tensors.containsKey(ADDED_SCALE)
                        ? Range.read(tensors, ADDED_SCALE, ADDED_ZERO_POINT)
                        : null,
                floats ? null : QuantizedLayer.output(tensors),
                Boolean.parseBoolean(attributes.get("in_place")));
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
