package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/** x where it is positive, {@code negativeSlope · x} elsewhere, for any shape. */
public final class LeakyReLU extends Module {
    private final double negativeSlope;

    /** A layer with PyTorch's slope, 0.01. */
    public LeakyReLU() {
        this(0.01);
    }

    /** A layer with a slope of its own below 0. */
    public LeakyReLU(double negativeSlope) {
        this.negativeSlope = negativeSlope;
    }

    /** The slope below 0. */
    public double negativeSlope() {
        return negativeSlope;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.leakyRelu(x, negativeSlope);
    }

    @Override
    protected String extraRepr() {
        return "negative_slope=" + Repr.of(negativeSlope);
    }
}
