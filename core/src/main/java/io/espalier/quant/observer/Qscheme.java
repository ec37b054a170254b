package io.espalier.quant.observer;

import java.util.Locale;

/** Whether a tensor has one scale or one per channel, and whether its zero point is free. */
public enum Qscheme {
    /** One scale and one zero point: any range that contains zero. */
    PER_TENSOR_AFFINE,
    /** One scale, the range symmetric about zero. */
    PER_TENSOR_SYMMETRIC,
    /** A scale and a zero point for each channel. */
    PER_CHANNEL_AFFINE,
    /** A scale for each channel, the ranges symmetric about zero. */
    PER_CHANNEL_SYMMETRIC,
    /**
     * A scale and a zero point for each row of a table of vectors: {@link #PER_CHANNEL_AFFINE} with
     * scales of so few bits that a zero stays exactly zero in the table's kernels.
     */
    PER_CHANNEL_AFFINE_FLOAT_QPARAMS;

    /** Whether each channel has its own scale. */
    public boolean isPerChannel() {
        return this != PER_TENSOR_AFFINE && this != PER_TENSOR_SYMMETRIC;
    }

    /** Whether ranges are symmetric about zero. */
    public boolean isSymmetric() {
        return this == PER_TENSOR_SYMMETRIC || this == PER_CHANNEL_SYMMETRIC;
    }

    /** As PyTorch prints it: {@code torch.per_tensor_affine}. */
    @Override
    public String toString() {
        return "torch." + name().toLowerCase(Locale.ROOT);
    }
}
