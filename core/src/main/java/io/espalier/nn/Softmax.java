package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** exp(x) over its sum along one dimension: what is positive and sums to 1. */
public final class Softmax extends Module {
    private final long dim;

    /** A layer along a dimension; a negative one counts from the end. */
    public Softmax(long dim) {
        this.dim = dim;
    }

    /** The dimension. */
    public long dim() {
        return dim;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.softmax(x, dim);
    }

    @Override
    protected String extraRepr() {
        return "dim=" + dim;
    }
}
