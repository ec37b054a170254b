package io.espalier.quant.layer;

import io.espalier.nn.Dropout;
import io.espalier.nn.Module;
import io.espalier.nn.Repr;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;

/** Passes its input on, in training mode too: what a {@code Dropout} becomes. */
public final class QuantizedDropout extends Module implements SavedForm {
    private final double p;

    /** Takes the place of a layer that drops a share {@code p} in training. */
    public QuantizedDropout(double p) {
        this.p = p;
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Dropout dropout && dropout.p() == p;
    }

    @Override
    public Map<String, String> attributes() {
        return Map.of("p", Double.toString(p));
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
