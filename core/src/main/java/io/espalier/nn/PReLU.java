package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * x where it is positive, {@code weight · x} elsewhere, with one trained weight for all channels or
 * one for each: [N, C, …] to the same.
 *
 * <p>Source: He et al., <a href="https://arxiv.org/abs/1502.01852">Delving Deep into
 * Rectifiers</a>, 2015.
 */
public class PReLU extends Module {
    private final long count;

    /** A layer with one weight for all channels, 0.25 at first. */
    public PReLU() {
        this(1);
    }

    /**
     * A layer with so many weights: 1, or the number of channels.
     *
     * @throws EspalierException if the number is below 1
     */
    public PReLU(long count) {
        this.count = Extents.requireAtLeast("num_parameters", count, 1);
        addParameter("weight", Tensors.ones(count).mul(new Scalar(0.25)));
    }

    /** How many weights there are. */
    public long count() {
        return count;
    }

    /** The weight [1] or [C] as {@code forward} sees it. */
    public Tensor weight() {
        return value("weight");
    }

    @Override
    protected Tensor forward(Tensor x) {
        long channels = x.dim() < 2 ? 1 : x.size(1);
        if (count != 1 && channels != count) {
            throw wrongInput(x, "the input must have " + count + " channels.");
        }
        return Functional.prelu(x, weight());
    }

    @Override
    protected String extraRepr() {
        return "num_parameters=" + count;
    }
}
