package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.tensor.Engine;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * oneDNN's kernels, which add and compute activations before they round: the fastest where they
 * are. A layer that needs neither keeps to the engine's own kernel, which is prepared only once.
 */
final class OneDnnKernels implements IntegerKernels {
    private final IntegerKernels engine = new EngineKernels();

    /** Whether an engine's models can run on them here. */
    static boolean run(Engine engine) {
        return (engine == Engine.X86 || engine == Engine.ONEDNN)
                && Engine.available().contains(Engine.ONEDNN);
    }

    @Override
    public boolean addsInside(Module layer) {
        return hasAllActivations(layer);
    }

    @Override
    public boolean computesInside(Module layer, boolean adds, ChainActivation activation) {
        return (!adds && hasAllActivations(layer))
                || engine.computesInside(layer, adds, activation);
    }

    /** Of convolutions only those of two dimensions have. */
    private static boolean hasAllActivations(Module layer) {
        return layer instanceof Linear || (dimensions(layer) == 2 && !isLeft(layer));
    }

    /** A convolution's spatial dimensions; 0 of other layers. */
    private static int dimensions(Module layer) {
        return layer instanceof Convolution convolution ? convolution.stride().length : 0;
    }

    /** Whether a layer is left to the engine's own kernels. */
    private static boolean isLeft(Module layer) {
        return layer instanceof Convolution convolution
                && (convolution.isTransposed() || EarlyPadding.isNeeded(convolution));
    }

    @Override
    public boolean computes(Module layer) {
        return engine.computes(layer);
    }

    /** A sum is computed in the memory of its second input, which are integers. */
    @Override
    public boolean givesFloats(FusedChain chain) {
        Module layer = chain.layer();
        ChainActivation activation = chain.activation();
        boolean computes =
                activation == ChainActivation.NONE
                        || hasAllActivations(layer)
                        || (activation == ChainActivation.RELU && dimensions(layer) == 1);
        return computes && !chain.adds() && !isLeft(layer);
    }

    @Override
    public Module layer(
            String place,
            FusedChain chain,
            Packing packing,
            Range input,
            @Nullable Range added,
            @Nullable Range output) {
        boolean plain =
                chain.activation() == ChainActivation.NONE
                        || chain.activation() == ChainActivation.RELU;
        if (plain && !chain.adds() && output != null) {
            return engine.layer(place, chain, packing, input, null, output);
        }
        Module layer = chain.layer();
        Tensor bias = layer.hasParameter("bias") ? layer.value("bias").detach().clone() : null;
        var weight =
                IntegerWeight.of(
                        place + ".weight",
                        layer.value("weight"),
                        new Packing(packing.weight(), Engine.ONEDNN));
        var parts = new IntegerParts(weight, bias, chain.activation(), input, added, output);
        return layer instanceof Convolution convolution
                ? IntegerConvolution.of(convolution, parts)
                : new IntegerLinear(parts);
    }
}
