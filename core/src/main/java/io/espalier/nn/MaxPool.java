package io.espalier.nn;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/** What the maximum poolings of one and two dimensions share. */
@Internal
public abstract non-sealed class MaxPool extends Pooling {
    private final Options options;

    /**
     * How a pooling differs from the plain one; values are one number for all dimensions or one for
     * each.
     *
     * @param stride the steps of the window; empty for the window's own size
     * @param padding what is put before the input, at most half the window
     * @param paddingAfter what is put after it; none for as much as before it
     * @param dilation the distance between two elements of the window
     * @param ceilMode whether a last window that does not fit whole counts
     */
    public record Options(
            List<Long> stride,
            List<Long> padding,
            List<Long> paddingAfter,
            List<Long> dilation,
            boolean ceilMode) {
        /** PyTorch's defaults: the stride is the window's size. */
        public static final Options DEFAULT =
                new Options(List.of(), List.of(0L), List.of(), List.of(1L), false);

        /** The same with another stride. */
        public Options stride(long... value) {
            return new Options(Extents.of(value), padding, paddingAfter, dilation, ceilMode);
        }

        /** The same with another padding, the same on both sides. */
        public Options padding(long... value) {
            return new Options(stride, Extents.of(value), List.of(), dilation, ceilMode);
        }

        /** The same with a padding, below the window, that differs before and after the input. */
        public Options padding(long[] before, long[] after) {
            return new Options(stride, Extents.of(before), Extents.of(after), dilation, ceilMode);
        }

        /** The same with another dilation. */
        public Options dilation(long... value) {
            return new Options(stride, padding, paddingAfter, Extents.of(value), ceilMode);
        }

        /** The same with or without a last window that does not fit whole. */
        public Options ceilMode(boolean value) {
            return new Options(stride, padding, paddingAfter, dilation, value);
        }
    }

    MaxPool(int rank, long[] kernel, UnaryOperator<Options> with) {
        this(rank, kernel, Needed.from(with, Options.DEFAULT, "the options"));
    }

    private MaxPool(int rank, long[] kernel, Options options) {
        super(
                rank,
                kernel,
                options.stride,
                options.padding,
                options.paddingAfter,
                options.ceilMode);
        this.options = options;
        dilation();
    }

    /** The distance between two elements of the window along each dimension. */
    public long[] dilation() {
        return expand("dilation", options.dilation, 1);
    }

    @Override
    protected Tensor forward(Tensor x) {
        if (!isPaddedUnevenly()) {
            return pool(x, paddingBefore());
        }
        Tensor result = pool(surrounded(x), new long[stride().length]);
        return ceilMode() ? withoutWindowsBehind(result, x, extent()) : result;
    }

    private Tensor pool(Tensor x, long[] padding) {
        return isFlat()
                ? Functional.maxPool1d(x, kernelSize(), stride(), padding, dilation(), ceilMode())
                : Functional.maxPool2d(x, kernelSize(), stride(), padding, dilation(), ceilMode());
    }

    /** The window's size with its gaps. */
    private long[] extent() {
        long[] extent = kernelSize();
        Arrays.setAll(extent, d -> dilation()[d] * (extent[d] - 1) + 1);
        return extent;
    }

    /**
     * An input with a padding that is no maximum. A window without gaps that reaches over the edge
     * has the edge in it, so that repeating it adds nothing, and keeps the input's range; else the
     * padding is infinitely small, which no graph should see.
     */
    private Tensor surrounded(Tensor x) {
        long[] sides = Extents.sides(paddingBefore(), paddingAfter());
        if (x.is_quantized()) {
            long least = Tensors.type(x) == ScalarType.QUInt8 ? 0 : Byte.MIN_VALUE;
            return Functional.pad(x, sides, (least - x.q_zero_point()) * x.q_scale());
        }
        return Arrays.stream(dilation()).allMatch(gap -> gap == 1)
                ? Functional.pad(x, sides, PaddingMode.REPLICATE)
                : torch.pad(x, sides, "constant", new DoubleOptional(Double.NEGATIVE_INFINITY));
    }

    @Override
    protected String extraRepr() {
        return window(false)
                + ", dilation="
                + Repr.numberOrTuple(options.dilation)
                + ", ceil_mode="
                + Repr.of(ceilMode());
    }
}
