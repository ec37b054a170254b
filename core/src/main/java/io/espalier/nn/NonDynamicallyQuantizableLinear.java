package io.espalier.nn;

/**
 * The last linear map of a {@link MultiheadAttention}, under the name that PyTorch prints: a linear
 * layer that dynamic quantization leaves as it is.
 */
public final class NonDynamicallyQuantizableLinear extends Linear {
    NonDynamicallyQuantizableLinear(long size, boolean bias) {
        super(size, size, bias);
    }
}
