package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.quant.observer.Qscheme;

import org.jspecify.annotations.Nullable;

import java.util.Collection;

/**
 * A family of int8 kernels that a graph is converted to: which layers they compute, and what they
 * compute with them at no cost.
 */
public sealed interface IntegerKernels permits OneDnnKernels, EngineKernels {
    /** The fastest family that runs a configuration here. */
    static IntegerKernels of(Packing packing) {
        Qscheme weights = packing.weight().made().qscheme();
        return OneDnnKernels.run(packing.engine()) && weights.isSymmetric()
                ? new OneDnnKernels()
                : new EngineKernels();
    }

    /** The family that the layers of a converted graph are of. */
    static IntegerKernels of(Collection<Module> layers) {
        return layers.stream().anyMatch(IntegerLayer.class::isInstance)
                ? new OneDnnKernels()
                : new EngineKernels();
    }

    /** Whether a layer's kernel adds a second input to its result. */
    boolean addsInside(Module layer);

    /** Whether a layer's kernel computes an activation of its result. */
    boolean computesInside(Module layer, boolean adds, ChainActivation activation);

    /** Whether the layer has a kernel. */
    boolean computes(Module layer);

    /** Whether a chain's kernel can give floats. */
    boolean givesFloats(FusedChain chain);

    /**
     * The layer that computes a chain.
     *
     * @param place the chain's path, for errors
     * @param input how the integers that it is given stand for numbers
     * @param added the same of its second input
     * @param output the same of what it gives, or null for floats
     */
    Module layer(
            String place,
            FusedChain chain,
            Packing packing,
            Range input,
            @Nullable Range added,
            @Nullable Range output);
}
