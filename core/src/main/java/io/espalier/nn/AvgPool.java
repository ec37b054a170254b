package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.function.UnaryOperator;

/** What the mean poolings of one and two dimensions share. */
public abstract class AvgPool extends Module {
    private final List<Long> kernel;
    private final Options options;
    private final int rank;

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
        this.rank = rank;
        this.kernel = Extents.of(kernel);
        Options given = with.apply(Options.DEFAULT);
        this.options = given.stride.isEmpty() ? given.stride(kernel) : given;
        Extents.requireWindow(kernelSize(), padding());
        stride();
    }

    /** The window's size along each dimension. */
    public long[] kernelSize() {
        return Extents.expand("kernel_size", kernel, rank, 1);
    }

    /** The window's steps along each dimension. */
    public long[] stride() {
        return Extents.expand("stride", options.stride, rank, 1);
    }

    /** The padding of both sides of each dimension. */
    public long[] padding() {
        return Extents.expand("padding", options.padding, rank, 0);
    }

    /** Whether a last window that does not fit whole counts. */
    public boolean ceilMode() {
        return options.ceilMode;
    }

    /** Whether the padding counts in the mean. */
    public boolean countIncludePad() {
        return options.countIncludePad;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return rank == 1
                ? Functional.avgPool1d(
                        x, kernelSize(), stride(), padding(), ceilMode(), countIncludePad())
                : Functional.avgPool2d(
                        x, kernelSize(), stride(), padding(), ceilMode(), countIncludePad());
    }

    /**
     * PyTorch keeps the numbers of the one-dimensional pooling as tuples, those of the other as
     * given.
     */
    @Override
    protected String extraRepr() {
        return "kernel_size="
                + sizes(kernel)
                + ", stride="
                + sizes(options.stride)
                + ", padding="
                + sizes(options.padding);
    }

    private String sizes(List<Long> values) {
        return rank == 1 ? Repr.tuple(Extents.array(values)) : Repr.numberOrTuple(values);
    }
}
