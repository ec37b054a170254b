package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

/**
 * In training each element is 0 with probability p and else divided by 1 − p; otherwise it passes
 * as it is.
 *
 * <p>Source: Srivastava et al., <a
 * href="https://jmlr.org/papers/v15/srivastava14a.html">Dropout</a>, 2014.
 */
public final class Dropout extends Module {
    private final double p;

    /** A layer that drops one half. */
    public Dropout() {
        this(0.5);
    }

    /**
     * A layer that drops a share {@code p}.
     *
     * @throws EspalierException if {@code p} is not in 0…1
     */
    public Dropout(double p) {
        this.p = requireShare(p);
    }

    static double requireShare(double p) {
        if (!(p >= 0 && p <= 1)) {
            throw new EspalierException("The share to drop must be in 0…1; asked for " + p + ".");
        }
        return p;
    }

    /** The share that is dropped. */
    public double p() {
        return p;
    }

    @Override
    public boolean isPure() {
        return true;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.dropout(x, p, isTraining());
    }

    @Override
    protected String extraRepr() {
        return "p=" + Repr.of(p) + ", inplace=False";
    }
}
