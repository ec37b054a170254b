package io.espalier.quant.observer;

import io.espalier.nn.Repr;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** An observer of the whole tensor whose state begins with a smallest and a largest value. */
abstract class RangeObserver extends Observer {
    RangeObserver(ObserverSettings settings) {
        super(settings);
        settings.requireInteger(typeName());
        settings.requirePerTensor(typeName());
        addBuffer("eps", Tensors.of(settings.eps()));
    }

    /** Adds the buffers of the range; a separate step because PyTorch's order differs by class. */
    final void addRange() {
        addBuffer("min_val", torch.scalar_tensor(new Scalar(Float.POSITIVE_INFINITY)));
        addBuffer("max_val", torch.scalar_tensor(new Scalar(Float.NEGATIVE_INFINITY)));
    }

    /** The smallest value seen; +∞ before any. */
    public final float min() {
        return scalar("min_val");
    }

    /** The largest value seen; −∞ before any. */
    public final float max() {
        return scalar("max_val");
    }

    final void setRange(float min, float max) {
        scalar("min_val", min);
        scalar("max_val", max);
    }

    /** The extremes of a batch, in whatever order its elements lie. */
    final Extremes extremes(Tensor x) {
        return Extremes.ofAll(Tensors.segment(x), x.numel(), this::nonFinite);
    }

    /** The elements as one row, in whatever order they lie; copied only if there are gaps. */
    static Tensor flat(Tensor x) {
        if (x.is_contiguous() || !x.is_non_overlapping_and_dense()) {
            return x.contiguous();
        }
        return x.as_strided(new long[] {x.numel()}, 1);
    }

    @Override
    public final boolean hasObserved() {
        return min() <= max();
    }

    @Override
    public void reset() {
        setRange(Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY);
    }

    @Override
    public QuantizationParameters quantizationParameters() {
        if (!hasObserved()) {
            throw nothingSeen();
        }
        return Affine.parameters(settings(), min(), max());
    }

    @Override
    protected String extraRepr() {
        return "min_val=" + Repr.of(min()) + ", max_val=" + Repr.of(max());
    }
}
