package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** The means over a grid of a given size: [N, C, H, W] to [N, C, outH, outW], or both without N. */
public final class AdaptiveAvgPool2d extends Module {
    private final List<Long> outputSize;

    /** One size for both dimensions, or one for each. */
    public AdaptiveAvgPool2d(long... outputSize) {
        this.outputSize = Extents.of(outputSize);
        outputSize();
    }

    /** The output's size along each dimension. */
    public long[] outputSize() {
        return Extents.expand("output_size", outputSize, 2, 1);
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.adaptiveAvgPool2d(x, outputSize());
    }

    @Override
    protected String extraRepr() {
        return "output_size=" + Repr.numberOrTuple(outputSize);
    }
}
