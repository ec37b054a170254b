package io.espalier.onnx.export;

import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.quant.layer.ChainActivation;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerLayer;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;

/**
 * Linear layers and convolutions whose weights and activations are integers: written in floats
 * between QuantizeLinear and DequantizeLinear.
 */
final class IntegerLayers {
    private IntegerLayers() {}

    /** Rounds what comes to the range of the module's own. */
    static List<String> quantize(LayerCall call) {
        return List.of(call.draft().rounded(call.x(), range(call.module(), "")));
    }

    private static Range range(Module module, String which) {
        return Range.unsigned(
                Tensors.floats(module.buffer(which + "scale"))[0],
                Tensors.longs(module.buffer(which + "zero_point"))[0]);
    }

    /** A value as an integer kernel takes it: floats are rounded by what it saw. */
    static String rounded(Draft draft, Module layer, String x) {
        if (draft.range(x) != null) {
            return x;
        }
        if (!layer.hasBuffer("input_scale")) {
            throw new EspalierException(
                    "it quantizes floats by their own range in each call, since it saw none while"
                            + " calibrating; calibrate the model as it is used.");
        }
        return draft.rounded(x, range(layer, "input_"));
    }

    /** What a layer inside another gives, rounded if that is integers. */
    static String roundedResult(Draft draft, Module layer, String y) {
        boolean integers = layer instanceof QuantizedLayer && !(layer instanceof IntegerLayer);
        return integers ? draft.rounded(y, range(layer, "")) : y;
    }

    /** A linear layer. */
    static List<String> linear(LayerCall call) {
        Draft draft = call.draft();
        String x = rounded(draft, call.module(), call.x());
        IntegerWeights weight = IntegerWeights.of(call.prefix(), call.module(), "weight");
        String y = linear(draft, x, call.seen().rank(), weight, bias(call, weight, x));
        return List.of(finished(call, y));
    }

    private static String linear(
            Draft draft, String x, int rank, IntegerWeights weight, String bias) {
        return rank == 2
                ? Products.linear(draft, x, rank, weight.dequantized(draft), bias)
                : Products.plus(
                        draft,
                        draft.node("MatMul", x, weight.dequantized(draft, weight.turned(), 1)),
                        bias);
    }

    /** A convolution. */
    static List<String> convolution(LayerCall call) {
        Draft draft = call.draft();
        Map<String, String> attributes = call.attributes();
        var geometry = ConvolutionGeometry.read(attributes);
        boolean reflects = Boolean.parseBoolean(attributes.get("reflects"));
        String x = rounded(draft, call.module(), call.x());
        IntegerWeights weight = IntegerWeights.of(call.prefix(), call.module(), "weight");
        int rank = call.seen().rank();
        String input =
                reflects ? FloatLayers.padded(draft, x, rank, geometry, PaddingMode.REFLECT) : x;
        String y =
                (reflects ? geometry.padded() : geometry)
                        .write(
                                draft,
                                input,
                                rank,
                                weight.dequantized(draft),
                                bias(call, weight, x));
        return List.of(finished(call, y));
    }

    private static String bias(LayerCall call, IntegerWeights weight, String x) {
        return bias(
                call.draft(),
                call.prefix() + "bias",
                call.module().hasBuffer("bias")
                        ? Tensors.floats(call.module().buffer("bias"))
                        : null,
                weight,
                x);
    }

    private static String bias(
            Draft draft, String name, float @Nullable [] bias, IntegerWeights weight, String x) {
        return bias == null ? "" : weight.bias(draft, name, bias, draft.range(x));
    }

    /** What a layer does after its sums, but for the rounding. */
    private static String finished(LayerCall call, String y) {
        Draft draft = call.draft();
        Map<String, String> attributes = call.attributes();
        String sum =
                call.module().hasBuffer("added_scale")
                        ? draft.node("Add", y, call.names().get(1))
                        : y;
        if (Boolean.parseBoolean(attributes.get("relu"))) {
            return draft.node("Relu", sum);
        }
        String activation = attributes.getOrDefault("activation", ChainActivation.NONE.name());
        return FloatLayers.activation(draft, sum, ChainActivation.valueOf(activation));
    }

    /** A chain of a graph with explicit ranges, whose weight is rounded, or one in floats. */
    static String chain(LayerCall call, FusedChain chain) {
        Draft draft = call.draft();
        Module layer = chain.layer();
        var state = new ModuleState(draft, call.prefix() + "layer.", layer);
        String y =
                chain.weightParameters()
                        .map(parameters -> rounded(call, layer, parameters))
                        .orElseGet(() ->
                                layer instanceof Convolution convolution
                                        ? FloatLayers.convolution(
                                                call,
                                                convolution,
                                                state.tensor("weight"),
                                                state.optional("bias"))
                                        : Products.linear(
                                                draft,
                                                call.x(),
                                                call.seen().rank(),
                                                state.tensor("weight"),
                                                state.optional("bias")));
        String sum = chain.adds() ? draft.node("Add", y, call.names().get(1)) : y;
        return FloatLayers.activation(draft, sum, chain.activation());
    }

    private static String rounded(LayerCall call, Module layer, QuantizationParameters parameters) {
        Draft draft = call.draft();
        String name = call.prefix() + "layer.";
        IntegerWeights weight =
                IntegerWeights.of(
                        name + "weight",
                        layer.value("weight"),
                        parameters.scales(),
                        parameters.zeroPoints());
        float @Nullable [] floats =
                layer.hasParameter("bias") ? Tensors.floats(layer.value("bias").detach()) : null;
        String bias = bias(draft, name + "bias", floats, weight, call.x());
        return switch (layer) {
            case Linear linear -> linear(draft, call.x(), call.seen().rank(), weight, bias);
            case Convolution convolution ->
                    FloatLayers.convolution(call, convolution, weight.dequantized(draft), bias);
            default ->
                    throw new EspalierException("there is no ONNX operator for a " + layer + ".");
        };
    }
}
