package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
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
    private long count;

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

    private PReLU(Tensor weight) {
        Given.requireDimensions("PReLU", weight, 1);
        this.count = weight.numel();
        addParameter("weight", weight);
    }

    /**
     * A layer of a weight [1] or [C], which it holds as it is.
     *
     * @throws EspalierException if it has another shape
     */
    public static PReLU of(Tensor weight) {
        return new PReLU(weight);
    }

    /**
     * A layer like this one over some channels only, in this order; one weight for all channels is
     * that for these.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public PReLU withChannels(long... kept) {
        Needed.of(kept, "the channels to keep");
        if (count == 1) {
            return copy();
        }
        Selection.require(this, "channels", count, kept);
        PReLU layer = new Selection(this).along("weight", 0, kept).apply();
        layer.resize(kept.length);
        return layer;
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long channels) {
        count = channels;
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
    public boolean isAtomic() {
        return computesAs(PReLU.class);
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
