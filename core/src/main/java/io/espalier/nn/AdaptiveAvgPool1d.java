package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** The means over so many windows: [N, C, L] to [N, C, out], or both without N. */
public final class AdaptiveAvgPool1d extends Module {
    private final long outputSize;

    /** An output of the given size. */
    public AdaptiveAvgPool1d(long outputSize) {
        this.outputSize = Extents.requireAtLeast("output_size", outputSize, 1);
    }

    /** The output's size. */
    public long outputSize() {
        return outputSize;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.adaptiveAvgPool1d(x, outputSize);
    }

    @Override
    protected String extraRepr() {
        return "output_size=" + outputSize;
    }
}
