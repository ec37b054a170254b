package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * What the convolutions of one, two and three dimensions and their transposes share: a weight, a
 * bias, and the numbers that say how the kernel moves.
 */
public abstract class Convolution extends Module {
    private final long in;
    private final long out;
    private final long[] kernel;
    private final Options options;
    private final boolean transposed;
    private final long[] stride;
    private final long[] padding;
    private final long[] dilation;
    private final long[] outputPadding;

    /**
     * How a convolution differs from the plain one. Spatial values are one number for all
     * dimensions or one for each.
     *
     * @param stride the steps between two positions of the kernel, at least 1
     * @param padding what is put on both sides of the input, at least 0
     * @param dilation the distance between two elements of the kernel, at least 1
     * @param outputPadding what a transposed convolution adds to one side of its output
     * @param groups into how many independent parts the channels are divided
     * @param bias whether a bias is added
     * @param paddingMode what the padding is filled with
     */
    public record Options(
            List<Long> stride,
            List<Long> padding,
            List<Long> dilation,
            List<Long> outputPadding,
            long groups,
            boolean bias,
            PaddingMode paddingMode) {
        /** PyTorch's defaults: stride 1, no padding, one group, a bias. */
        public static final Options DEFAULT =
                new Options(
                        List.of(1L),
                        List.of(0L),
                        List.of(1L),
                        List.of(0L),
                        1,
                        true,
                        PaddingMode.ZEROS);

        /** The same with another stride. */
        public Options stride(long... value) {
            return new Options(
                    Extents.of(value), padding, dilation, outputPadding, groups, bias, paddingMode);
        }

        /** The same with another padding. */
        public Options padding(long... value) {
            return new Options(
                    stride, Extents.of(value), dilation, outputPadding, groups, bias, paddingMode);
        }

        /** The same with another dilation. */
        public Options dilation(long... value) {
            return new Options(
                    stride, padding, Extents.of(value), outputPadding, groups, bias, paddingMode);
        }

        /** The same with another padding of the output, which only transposed convolutions have. */
        public Options outputPadding(long... value) {
            return new Options(
                    stride, padding, dilation, Extents.of(value), groups, bias, paddingMode);
        }

        /** The same with another number of groups. */
        public Options groups(long value) {
            return new Options(stride, padding, dilation, outputPadding, value, bias, paddingMode);
        }

        /** The same with or without a bias. */
        public Options bias(boolean value) {
            return new Options(
                    stride, padding, dilation, outputPadding, groups, value, paddingMode);
        }

        /**
         * The same with another filling of the padding; transposed convolutions have zeros only.
         */
        public Options paddingMode(PaddingMode value) {
            return new Options(stride, padding, dilation, outputPadding, groups, bias, value);
        }
    }

    Convolution(
            int rank,
            boolean transposed,
            long in,
            long out,
            long[] kernel,
            UnaryOperator<Options> with) {
        this.in = Extents.requireAtLeast("in_channels", in, 1);
        this.out = Extents.requireAtLeast("out_channels", out, 1);
        this.options = with.apply(Options.DEFAULT);
        this.transposed = transposed;
        this.kernel = Extents.expand("kernel_size", Extents.of(kernel), rank, 1);
        this.stride = Extents.expand("stride", options.stride, rank, 1);
        this.padding = Extents.expand("padding", options.padding, rank, 0);
        this.dilation = Extents.expand("dilation", options.dilation, rank, 1);
        this.outputPadding = Extents.expand("output_padding", options.outputPadding, rank, 0);
        requireConsistent();
        long groups = options.groups;
        long[] shape = new long[2 + rank];
        shape[0] = transposed ? in : out;
        shape[1] = (transposed ? out : in) / groups;
        System.arraycopy(this.kernel, 0, shape, 2, rank);
        long fanIn = Arrays.stream(shape).skip(1).reduce(1, Math::multiplyExact);
        addParameter("weight", Init.kaimingUniform(fanIn, shape));
        if (options.bias) {
            addParameter("bias", Init.bias(fanIn, out));
        }
    }

    private void requireConsistent() {
        Extents.requireAtLeast("groups", options.groups, 1);
        if (in % options.groups != 0 || out % options.groups != 0) {
            throw new EspalierException(
                    typeName()
                            + " with "
                            + in
                            + " input and "
                            + out
                            + " output channels can't have "
                            + options.groups
                            + " groups; the number of groups must divide both.");
        }
        if (transposed && options.paddingMode != PaddingMode.ZEROS) {
            throw new EspalierException(
                    typeName() + " pads with zeros only; asked for " + options.paddingMode + ".");
        }
        if (!transposed && Arrays.stream(outputPadding).anyMatch(p -> p != 0)) {
            throw new EspalierException(
                    typeName()
                            + " has no output padding; only transposed convolutions have, such as"
                            + " ConvTranspose2d.");
        }
    }

    /**
     * The weight as {@code forward} sees it: [out, in/groups, kernel…], transposed [in, out/groups,
     * kernel…].
     */
    public Tensor weight() {
        return value("weight");
    }

    /** The bias [out], or {@code null} where the layer has none. */
    public @Nullable Tensor bias() {
        return valueOrNull("bias");
    }

    /** The number of channels of the input. */
    public long inChannels() {
        return in;
    }

    /** The number of channels of the output. */
    public long outChannels() {
        return out;
    }

    /** The kernel's size along each spatial dimension. */
    public long[] kernelSize() {
        return kernel.clone();
    }

    /** The stride along each spatial dimension. */
    public long[] stride() {
        return stride.clone();
    }

    /** The padding of both sides of each spatial dimension. */
    public long[] padding() {
        return padding.clone();
    }

    /** The dilation along each spatial dimension. */
    public long[] dilation() {
        return dilation.clone();
    }

    /** What a transposed convolution adds to one side of each spatial dimension of its output. */
    public long[] outputPadding() {
        return outputPadding.clone();
    }

    /** The number of groups. */
    public long groups() {
        return options.groups;
    }

    /** What the padding is filled with. */
    public PaddingMode paddingMode() {
        return options.paddingMode;
    }

    /** Whether this is a transposed convolution, whose weight is [in, out/groups, kernel…]. */
    public boolean isTransposed() {
        return transposed;
    }

    /** The options it was made with, for a layer like it. */
    public Options options() {
        return options;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return convolve(x, weight(), bias());
    }

    /**
     * The convolution with these numbers and another weight and bias, as fusing and fake
     * quantization need it.
     */
    public final Tensor convolve(Tensor x, Tensor weight, @Nullable Tensor bias) {
        int rank = kernel.length;
        Inputs.requireChannels(this, x, rank, in);
        if (transposed) {
            return Functional.convTranspose(
                    x, weight, bias, stride, padding, outputPadding, groups(), dilation);
        }
        if (options.paddingMode == PaddingMode.ZEROS) {
            return Functional.conv(rank, x, weight, bias, stride, padding, dilation, groups());
        }
        return Functional.conv(
                rank, pad(x), weight, bias, stride, new long[rank], dilation, groups());
    }

    /** An input with this convolution's padding around it. */
    public final Tensor pad(Tensor x) {
        return Functional.pad(x, bothSides(), options.paddingMode);
    }

    /**
     * The paddings in the order of libtorch's {@code pad}: the last dimension first, both its
     * sides.
     */
    private long[] bothSides() {
        long[] sides = new long[2 * padding.length];
        for (int i = 0; i < sides.length; i++) {
            sides[i] = padding[padding.length - 1 - i / 2];
        }
        return sides;
    }

    @Override
    protected String extraRepr() {
        var text = new StringBuilder();
        text.append(in).append(", ").append(out);
        text.append(", kernel_size=").append(Repr.tuple(kernel));
        text.append(", stride=").append(Repr.tuple(stride));
        if (differs(padding, 0)) {
            text.append(", padding=").append(Repr.tuple(padding));
        }
        if (differs(dilation, 1)) {
            text.append(", dilation=").append(Repr.tuple(dilation));
        }
        if (differs(outputPadding, 0)) {
            text.append(", output_padding=").append(Repr.tuple(outputPadding));
        }
        if (options.groups != 1) {
            text.append(", groups=").append(options.groups);
        }
        if (!hasParameter("bias")) {
            text.append(", bias=False");
        }
        if (options.paddingMode != PaddingMode.ZEROS) {
            text.append(", padding_mode=").append(options.paddingMode);
        }
        return text.toString();
    }

    private static boolean differs(long[] values, long plain) {
        return Arrays.stream(values).anyMatch(value -> value != plain);
    }
}
