package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** x where it is positive, {@code alpha · (exp(x) − 1)} elsewhere, for any shape. */
public final class ELU extends Module {
    private final double alpha;

    /** A layer with PyTorch's alpha, 1. */
    public ELU() {
        this(1.0);
    }

    /** A layer whose values go down to −alpha. */
    public ELU(double alpha) {
        this.alpha = alpha;
    }

    /** Values go down to minus this. */
    public double alpha() {
        return alpha;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.elu(x, alpha);
    }

    @Override
    protected String extraRepr() {
        return "alpha=" + Repr.of(alpha);
    }
}
