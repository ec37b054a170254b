package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.function.UnaryOperator;

/** What the maximum poolings of one and two dimensions share. */
public abstract non-sealed class MaxPool extends Pooling {
    private final Options options;

    /**
     * How a pooling differs from the plain one; values are one number for all dimensions or one for
     * each.
     *
     * @param stride the steps of the window; empty for the window's own size
     * @param padding what is put on both sides, at most half the window
     * @param dilation the distance between two elements of the window
     * @param ceilMode whether a last window that does not fit whole counts
     */
    public record Options(
            List<Long> stride, List<Long> padding, List<Long> dilation, boolean ceilMode) {
        /** PyTorch's defaults: the stride is the window's size. */
        public static final Options DEFAULT =
                new Options(List.of(), List.of(0L), List.of(1L), false);

        /** The same with another stride. */
        public Options stride(long... value) {
            return new Options(Extents.of(value), padding, dilation, ceilMode);
        }

        /** The same with another padding. */
        public Options padding(long... value) {
            return new Options(stride, Extents.of(value), dilation, ceilMode);
        }

        /** The same with another dilation. */
        public Options dilation(long... value) {
            return new Options(stride, padding, Extents.of(value), ceilMode);
        }

        /** The same with or without a last window that does not fit whole. */
        public Options ceilMode(boolean value) {
            return new Options(stride, padding, dilation, value);
        }
    }

    MaxPool(int rank, long[] kernel, UnaryOperator<Options> with) {
        this(rank, kernel, with.apply(Options.DEFAULT));
    }

    private MaxPool(int rank, long[] kernel, Options options) {
        super(rank, kernel, options.stride, options.padding, options.ceilMode);
        this.options = options;
        dilation();
    }

    /** The distance between two elements of the window along each dimension. */
    public long[] dilation() {
        return expand("dilation", options.dilation, 1);
    }

    @Override
    protected Tensor forward(Tensor x) {
        return isFlat()
                ? Functional.maxPool1d(x, kernelSize(), stride(), padding(), dilation(), ceilMode())
                : Functional.maxPool2d(
                        x, kernelSize(), stride(), padding(), dilation(), ceilMode());
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
