package io.espalier.quant;

import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.quant.QuantizedLayer.Range;

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
                || (layer instanceof Convolution convolution
                        && convolution.paddingMode() == PaddingMode.ZEROS);
    }

    @Override
    public boolean givesFloats(FusedChain chain) {
        return false;
    }

    @Override
    public Module layer(
            String place,
            FusedChain chain,
            QConfig qconfig,
            Range input,
            @Nullable Range added,
            @Nullable Range output) {
        boolean relu = chain.activation() == ChainActivation.RELU;
        Range range = Objects.requireNonNull(output);
        PackedLayer made =
                switch (chain.layer()) {
                    case Linear linear ->
                            QuantizedLinear.of(place, linear, relu, qconfig, range, input);
                    case Convolution convolution ->
                            QuantizedConvolution.of(
                                    place, convolution, relu, qconfig, range, input);
                    default -> throw new IllegalArgumentException(place);
                };
        made.kernel();
        return made;
    }
}
