package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** The logarithm of {@link Softmax}, computed without its rounding. */
public final class LogSoftmax extends Module {
    private final long dim;

    /** A layer along a dimension; a negative one counts from the end. */
    public LogSoftmax(long dim) {
        this.dim = dim;
    }

    /** The dimension. */
    public long dim() {
        return dim;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.logSoftmax(x, dim);
    }

    @Override
    protected String extraRepr() {
        return "dim=" + dim;
    }
}
