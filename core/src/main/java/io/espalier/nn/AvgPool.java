package io.espalier.nn;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/** What the mean poolings of one and two dimensions share. */
@Internal
public abstract non-sealed class AvgPool extends Pooling {
    private final Options options;

    /**
     * How a pooling differs from the plain one; values are one number for all dimensions or one for
     * each.
     *
     * @param stride the steps of the window; empty for the window's own size
     * @param padding the zeros that are put before the input, at most half the window
     * @param paddingAfter the zeros that are put after it; none for as many as before it
     * @param ceilMode whether a last window that does not fit whole counts
     * @param countIncludePad whether the zeros count in the mean
     */
    public record Options(
            List<Long> stride,
            List<Long> padding,
            List<Long> paddingAfter,
            boolean ceilMode,
            boolean countIncludePad) {
        /** PyTorch's defaults: the stride is the window's size, padding counts. */
        public static final Options DEFAULT =
                new Options(List.of(), List.of(0L), List.of(), false, true);

        /** The same with another stride. */
        public Options stride(long... value) {
            return new Options(Extents.of(value), padding, paddingAfter, ceilMode, countIncludePad);
        }

        /** The same with another padding, the same on both sides. */
        public Options padding(long... value) {
            return new Options(stride, Extents.of(value), List.of(), ceilMode, countIncludePad);
        }

        /** The same with a padding, below the window, that differs before and after the input. */
        public Options padding(long[] before, long[] after) {
            return new Options(
                    stride, Extents.of(before), Extents.of(after), ceilMode, countIncludePad);
        }

        /** The same with or without a last window that does not fit whole. */
        public Options ceilMode(boolean value) {
            return new Options(stride, padding, paddingAfter, value, countIncludePad);
        }

        /** The same with or without the zeros in the mean. */
        public Options countIncludePad(boolean value) {
            return new Options(stride, padding, paddingAfter, ceilMode, value);
        }
    }

    AvgPool(int rank, long[] kernel, UnaryOperator<Options> with) {
        this(rank, kernel, Needed.from(with, Options.DEFAULT, "the options"));
    }

    private AvgPool(int rank, long[] kernel, Options options) {
        super(
                rank,
                kernel,
                options.stride,
                options.padding,
                options.paddingAfter,
                options.ceilMode);
        this.options = options;
    }

    /** Whether the padding counts in the mean. */
    public boolean countIncludePad() {
        return options.countIncludePad;
    }

    @Override
    protected Tensor forward(Tensor x) {
        if (!ceilMode() && x.dim() > kernelSize().length) {
            LayerInputs.requireWindow(this, x, kernelSize(), paddingBefore(), paddingAfter());
        }
        if (!isPaddedUnevenly()) {
            return pool(x, paddingBefore(), countIncludePad());
        }
        Tensor result =
                countIncludePad() ? overAll(x) : x.is_quantized() ? requantized(x) : overInput(x);
        return ceilMode() ? withoutWindowsBehind(result, x, kernelSize()) : result;
    }

    private Tensor pool(Tensor x, long[] padding, boolean countPadding) {
        return isFlat()
                ? Functional.avgPool1d(x, kernelSize(), stride(), padding, ceilMode(), countPadding)
                : Functional.avgPool2d(
                        x, kernelSize(), stride(), padding, ceilMode(), countPadding);
    }

    /** The mean over each window with its zeros. */
    private Tensor overAll(Tensor x) {
        long[] sides = Extents.sides(paddingBefore(), paddingAfter());
        return pool(Functional.pad(x, sides, PaddingMode.ZEROS), new long[sides.length / 2], true);
    }

    /** The mean over each window without its zeros: that with them, over the input's share. */
    private Tensor overInput(Tensor x) {
        long[] shape = Tensors.shape(x);
        Arrays.fill(shape, 0, shape.length - stride().length, 1);
        return Functional.div(overAll(x), overAll(torch.ones(shape, x.options())));
    }

    private Tensor requantized(Tensor x) {
        return torch.quantize_per_tensor(
                overInput(x.dequantize()), x.q_scale(), x.q_zero_point(), Tensors.type(x));
    }

    @Override
    protected String extraRepr() {
        return window(isFlat());
    }
}
