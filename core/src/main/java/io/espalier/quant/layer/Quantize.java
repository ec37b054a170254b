package io.espalier.quant.layer;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;

/** Turns floats into 8-bit integers with a fixed scale: what a {@code QuantStub} becomes. */
public final class Quantize extends QuantizedLayer {
    /** With the range of what it is given. */
    public Quantize(Range output) {
        super(output, null);
    }

    @Override
    protected Tensor forward(Tensor x) {
        return x.is_quantized() ? x : quantize(x, scale(), zeroPoint());
    }

    @Override
    Map<String, String> attributes() {
        return Map.of();
    }

    @Override
    protected String extraRepr() {
        return String.format(
                java.util.Locale.ROOT,
                "scale=tensor([%.4f]), zero_point=tensor([%d]), dtype=torch.quint8",
                scale(),
                zeroPoint());
    }
}
