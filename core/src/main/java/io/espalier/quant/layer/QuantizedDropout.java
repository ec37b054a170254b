package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.nn.Repr;

import org.bytedeco.pytorch.Tensor;

/** Passes its input on, in training mode too: what a {@code Dropout} becomes. */
public final class QuantizedDropout extends Module {
    private final double p;

    /** Takes the place of a layer that drops a share {@code p} in training. */
    public QuantizedDropout(double p) {
        this.p = p;
    }

    double p() {
        return p;
    }

    @Override
    public boolean isAtomic() {
        return true;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return x;
    }

    @Override
    protected String extraRepr() {
        return "p=" + Repr.of(p) + ", inplace=False";
    }
}
