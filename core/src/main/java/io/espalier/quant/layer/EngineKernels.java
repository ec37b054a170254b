package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;

import org.jspecify.annotations.Nullable;

import java.util.Objects;

/** The kernels on libtorch's quantized tensors, which carry their scale; every engine has them. */
final class EngineKernels implements IntegerKernels {
    @Override
    public boolean addsInside(Module layer) {
        return false;
    }

    @Override
    public boolean computesInside(Module layer, boolean adds, ChainActivation activation) {
        return activation == ChainActivation.RELU
                && !(layer instanceof Convolution convolution && convolution.isTransposed());
    }

    @Override
    public boolean computes(Module layer) {
        return layer instanceof Linear
                || (layer instanceof Convolution convolution && EarlyPadding.supports(convolution));
    }

    @Override
    public boolean givesFloats(FusedChain chain) {
        return false;
    }

    @Override
    public Module layer(
            String place,
            FusedChain chain,
            Packing packing,
            Range input,
            @Nullable Range added,
            @Nullable Range output) {
        boolean relu = chain.activation() == ChainActivation.RELU;
        Range range = Objects.requireNonNull(output);
        return PackedLayer.of(place, chain.layer(), relu, packing, range, input);
    }
}
