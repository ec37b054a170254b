package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/** The layers' mathematics as functions. */
public final class Functional {
    static {
        io.espalier.tensor.Libtorch.start();
    }

    private Functional() {}

    /** {@code x Wᵀ + b}: x [*, in], weight [out, in], bias [out] or {@code null}. */
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return torch.linear(x, weight, optional(bias));
    }

    /** max(x, 0). */
    public static Tensor relu(Tensor x) {
        return torch.relu(x);
    }

    /** The mean of the squared differences. */
    public static Tensor mseLoss(Tensor input, Tensor target) {
        return torch.mse_loss(input, target);
    }

    private static TensorOptional optional(@Nullable Tensor tensor) {
        return tensor == null ? new TensorOptional() : new TensorOptional(tensor);
    }
}
