package io.espalier.quant.layer;

import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.NonDynamicallyQuantizableLinear;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.qat.QatLayer;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Linear layers and convolutions: a weight in integers, an output whose range is observed.
 *
 * @param plain whether its weight lies output by output, as all but the transposed convolutions':
 *     it can then be trained rounded, and its channels be scaled
 * @param hasDynamicForm whether there is a kernel for floats and a small weight
 * @param isDynamic whether dynamic quantization takes it
 */
record WeightedKind(
        Class<? extends Module> type, boolean plain, boolean hasDynamicForm, boolean isDynamic)
        implements WeightInIntegers {
    static final List<LayerKind> ALL =
            List.of(
                    new WeightedKind(Linear.class, true, true, true),
                    new WeightedKind(NonDynamicallyQuantizableLinear.class, true, true, false),
                    convolution(Conv1d.class, true),
                    convolution(Conv2d.class, true),
                    convolution(Conv3d.class, true),
                    convolution(ConvTranspose1d.class, false),
                    convolution(ConvTranspose2d.class, false),
                    convolution(ConvTranspose3d.class, false));

    private static WeightedKind convolution(Class<? extends Convolution> type, boolean plain) {
        return new WeightedKind(type, plain, false, false);
    }

    @Override
    public boolean isLinearMap() {
        return true;
    }

    @Override
    public boolean isTrained() {
        return plain;
    }

    @Override
    public Module trained(PlacedLayer place, Observer rounding) {
        return QatLayer.of(place.layer(), rounding);
    }

    @Override
    public Module dynamic(PlacedLayer place) {
        var made = DynamicLinear.of(place.path(), (Linear) place.layer(), place.packing());
        made.packed();
        return made;
    }

    @Override
    public Module converted(PlacedLayer place) {
        return PackedLayer.of(place, place.layer(), false, place.packing());
    }

    @Override
    public Map<String, Reader> forms() {
        return Map.of(
                "QuantizedLinear",
                (old, tensors, attributes) -> QuantizedLinear.read(tensors, attributes),
                "QuantizedConvolution",
                (old, tensors, attributes) -> QuantizedConvolution.read(tensors, attributes),
                "DynamicLinear",
                (old, tensors, attributes) -> DynamicLinear.read(tensors, attributes),
                "IntegerLinear",
                (old, tensors, attributes) -> IntegerLinear.read(tensors, attributes),
                "IntegerConvolution",
                (old, tensors, attributes) -> IntegerConvolution.read(tensors, attributes));
    }

    @Override
    public Optional<Channels> channels(Module layer) {
        if (!plain) {
            return Optional.empty();
        }
        return Optional.of(
                layer instanceof Convolution convolution
                        ? new Channels(
                                convolution.inChannels(),
                                convolution.outChannels(),
                                convolution.groups())
                        : new Channels(
                                ((Linear) layer).inFeatures(), ((Linear) layer).outFeatures(), 1));
    }
}
