package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.function.UnaryOperator;

/** What the mean poolings of one and two dimensions share. */
public abstract non-sealed class AvgPool extends Pooling {
    private final Options options;

    /**
     * How a pooling differs from the plain one; values are one number for all dimensions or one for
     * each.
     *
     * @param stride the steps of the window; empty for the window's own size
     * @param padding the zeros that are put on both sides, at most half the window
     * @param ceilMode whether a last window that does not fit whole counts
     * @param countIncludePad whether the zeros count in the mean
     */
    public record Options(
            List<Long> stride, List<Long> padding, boolean ceilMode, boolean countIncludePad) {
        /** PyTorch's defaults: the stride is the window's size, padding counts. */
        public static final Options DEFAULT = new Options(List.of(), List.of(0L), false, true);

        /** The same with another stride. */
        public Options stride(long... value) {
            return new Options(Extents.of(value), padding, ceilMode, countIncludePad);
        }

        /** The same with another padding. */
        public Options padding(long... value) {
            return new Options(stride, Extents.of(value), ceilMode, countIncludePad);
        }

        /** The same with or without a last window that does not fit whole. */
        public Options ceilMode(boolean value) {
            return new Options(stride, padding, value, countIncludePad);
        }

        /** The same with or without the zeros in the mean. */
        public Options countIncludePad(boolean value) {
            return new Options(stride, padding, ceilMode, value);
        }
    }

    AvgPool(int rank, long[] kernel, UnaryOperator<Options> with) {
        this(rank, kernel, with.apply(Options.DEFAULT));
    }

    private AvgPool(int rank, long[] kernel, Options options) {
        super(rank, kernel, options.stride, options.padding, options.ceilMode);
        this.options = options;
    }

    /** Whether the padding counts in the mean. */
    public boolean countIncludePad() {
        return options.countIncludePad;
    }

    @Override
    protected Tensor forward(Tensor x) {
        if (!ceilMode() && x.dim() > kernelSize().length) {
            Inputs.requireWindow(this, x, kernelSize(), padding());
        }
        return isFlat()
                ? Functional.avgPool1d(
                        x, kernelSize(), stride(), padding(), ceilMode(), countIncludePad())
                : Functional.avgPool2d(
                        x, kernelSize(), stride(), padding(), ceilMode(), countIncludePad());
    }

    @Override
    protected String extraRepr() {
        return window(isFlat());
    }
}
