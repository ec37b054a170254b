package io.espalier.nn;

import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The last linear map of a {@link MultiheadAttention}, under the name that PyTorch prints: a linear
 * layer that dynamic quantization leaves as it is.
 */
@Internal
public final class NonDynamicallyQuantizableLinear extends Linear {
    NonDynamicallyQuantizableLinear(long in, long out, boolean bias) {
        super(in, out, options -> options.bias(bias));
    }

    NonDynamicallyQuantizableLinear(Tensor weight, @Nullable Tensor bias) {
        super(weight, bias);
    }
}
