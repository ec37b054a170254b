package io.espalier.quant.accuracy;

import io.espalier.nn.Functional;
import io.espalier.nn.Module;
import io.espalier.nn.Repr;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/**
 * Multiplies each channel by its own constant, the buffer {@code factors}; what {@link SmoothQuant}
 * puts before a layer where no other can take the factors in. Input and output have the same shape.
 */
public final class ChannelScale extends Module {
    /**
     * Factors of 1, to load others into.
     *
     * @param shape what broadcasts over the input: [C] for an input [*, C], [C, 1, 1] for [N, C, H,
     *     W]
     */
    public ChannelScale(long... shape) {
        this(Tensors.ones(shape));
    }

    ChannelScale(Tensor factors) {
        addBuffer("factors", factors);
    }

    /** A tensor with each channel times a factor, the channels lying along this dimension. */
    static Tensor along(Tensor x, int axis, Tensor factors) {
        long[] shape = new long[Math.toIntExact(x.dim())];
        Arrays.fill(shape, 1);
        shape[axis] = factors.numel();
        return x.mul(factors.reshape(shape));
    }

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.mul(x, buffer("factors"));
    }

    @Override
    protected String extraRepr() {
        return "shape=" + Repr.tuple(Tensors.shape(buffer("factors")));
    }
}
