package io.espalier.quant.fusion;

import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;

/**
 * A layer and the ReLU after it as one module: PyTorch's {@code LinearReLU}, {@code ConvReLU2d}.
 */
public final class FusedReLU extends Sequential {
    private final String name;

    /**
     * A pair.
     *
     * @param name what it prints as, such as {@code ConvReLU2d}
     * @param layer a linear layer or convolution
     */
    public FusedReLU(String name, Module layer, ReLU relu) {
        super(layer, relu);
        this.name = name;
    }

    /** The linear layer or convolution. */
    public Module layer() {
        return get(0);
    }

    @Override
    protected @Nullable Tensor derivedValue(String parameter) {
        return layer().value(parameter);
    }

    // An observer that prepare puts below this module is no link of the chain.
    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return get(1).callAll(get(0).callAll(inputs));
    }

    /** The layers that it stands for, as it prints. */
    @Override
    public String typeName() {
        return name;
    }
}
