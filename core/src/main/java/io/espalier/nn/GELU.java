package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/**
 * x · Φ(x), Φ being the normal distribution function, for any shape.
 *
 * <p>Source: Hendrycks and Gimpel, <a href="https://arxiv.org/abs/1606.08415">Gaussian Error Linear
 * Units</a>, 2016.
 */
public final class GELU extends Module {
    private final boolean tanh;

    /** The exact function. */
    public GELU() {
        this(false);
    }

    /** The exact function, or its approximation by tanh. */
    public GELU(boolean tanh) {
        this.tanh = tanh;
    }

    /** Whether it is the approximation by tanh. */
    public boolean isTanh() {
        return tanh;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return tanh ? Functional.geluTanh(x) : Functional.gelu(x);
    }

    @Override
    protected String extraRepr() {
        return "approximate='" + (tanh ? "tanh" : "none") + "'";
    }
}
