package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** Makes one dimension of several: [N, C, H, W] to [N, C·H·W]. */
public final class Flatten extends Module {
    private final long startDim;
    private final long endDim;

    /** Flattens all dimensions but the first. */
    public Flatten() {
        this(1, -1);
    }

    /**
     * Flattens the dimensions from one to another, both included; negative ones count from the end.
     */
    public Flatten(long startDim, long endDim) {
        this.startDim = startDim;
        this.endDim = endDim;
    }

    /** The first dimension that is flattened. */
    public long startDim() {
        return startDim;
    }

    /** The last dimension that is flattened. */
    public long endDim() {
        return endDim;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.flatten(x, startDim, endDim);
    }

    @Override
    protected String extraRepr() {
        return "start_dim=" + startDim + ", end_dim=" + endDim;
    }
}
