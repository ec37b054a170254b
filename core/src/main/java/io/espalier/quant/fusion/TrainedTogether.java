package io.espalier.quant.fusion;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A layer, the batch normalization after it, and perhaps a ReLU as one module that still trains:
 * PyTorch's {@code nn.intrinsic.ConvBnReLU2d} and its siblings.
 */
public final class TrainedTogether extends Sequential {
    private final String name;

    TrainedTogether(String name, Module layer, BatchNorm norm, @Nullable ReLU relu) {
        super(layer, norm);
        this.name = name;
        if (relu != null) {
            append(relu);
        }
    }

    /** The linear layer or convolution. */
    public Module layer() {
        return get(0);
    }

    @Override
    protected @Nullable Tensor derivedValue(String parameter) {
        return layer().value(parameter);
    }

    /** The batch normalization. */
    public BatchNorm norm() {
        return (BatchNorm) get(1);
    }

    /** Whether a ReLU is part of it. */
    public boolean hasReLU() {
        return size() > 2;
    }

    /** The layers that it stands for, as it prints. */
    @Override
    public String typeName() {
        return name;
    }
}
