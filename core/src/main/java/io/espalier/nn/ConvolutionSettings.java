package io.espalier.nn;

import io.espalier.nn.Convolution.Options;
import io.espalier.tensor.EspalierException;

import java.util.Arrays;

/** The numbers that say how the kernel of a convolution moves over its input. */
abstract sealed class ConvolutionSettings extends Module permits Convolution {
    private long in;
    private long out;
    private Options options;
    private final long[] kernel;
    private final boolean transposed;
    private final long[] stride;
    private final long[] before;
    private final long[] after;
    private final long[] dilation;
    private final long[] outputPadding;

    ConvolutionSettings(
            int rank, boolean transposed, long in, long out, long[] kernel, Options options) {
        this.in = Extents.requireAtLeast("in_channels", in, 1);
        this.out = Extents.requireAtLeast("out_channels", out, 1);
        this.options = options;
        this.transposed = transposed;
        this.kernel = Extents.expand("kernel_size", Extents.of(kernel), rank, 1);
        this.stride = Extents.expand("stride", options.stride(), rank, 1);
        this.before = Extents.expand("padding", options.padding(), rank, 0);
        this.after =
                options.paddingAfter().isEmpty()
                        ? before
                        : Extents.expand("padding", options.paddingAfter(), rank, 0);
        this.dilation = Extents.expand("dilation", options.dilation(), rank, 1);
        this.outputPadding = Extents.expand("output_padding", options.outputPadding(), rank, 0);
        requireConsistent();
    }

    private void requireConsistent() {
        Extents.requireAtLeast("groups", options.groups(), 1);
        if (in % options.groups() != 0 || out % options.groups() != 0) {
            throw new EspalierException(
                    typeName()
                            + " with "
                            + in
                            + " input and "
                            + out
                            + " output channels can't have "
                            + options.groups()
                            + " groups; the number of groups must divide both.");
        }
        if (transposed && options.paddingMode() != PaddingMode.ZEROS) {
            throw new EspalierException(
                    typeName() + " pads with zeros only; asked for " + options.paddingMode() + ".");
        }
        if (transposed && !Arrays.equals(before, after)) {
            throw new EspalierException(
                    typeName()
                            + " takes the same off both sides of its output; pad less, and cut the"
                            + " output by Functional.narrow.");
        }
        if (!transposed && Arrays.stream(outputPadding).anyMatch(p -> p != 0)) {
            throw new EspalierException(
                    typeName()
                            + " has no output padding; only transposed convolutions have, such as"
                            + " ConvTranspose2d.");
        }
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

    /**
     * The padding of both sides of each spatial dimension.
     *
     * @throws EspalierException if the two sides differ, as {@link #paddingBefore} and {@link
     *     #paddingAfter} say
     */
    public long[] padding() {
        if (isPaddedUnevenly()) {
            throw new EspalierException(
                    "The padding of "
                            + this
                            + " differs before and after the input; ask for paddingBefore() and"
                            + " paddingAfter().");
        }
        return before.clone();
    }

    /** The padding before the input along each spatial dimension: left, above. */
    public long[] paddingBefore() {
        return before.clone();
    }

    /** The padding after the input along each spatial dimension: right, below. */
    public long[] paddingAfter() {
        return after.clone();
    }

    /** Whether the padding before the input is not the one after it. */
    public final boolean isPaddedUnevenly() {
        return !Arrays.equals(before, after);
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
        return options.groups();
    }

    /** What the padding is filled with. */
    public PaddingMode paddingMode() {
        return options.paddingMode();
    }

    /** Whether this is a transposed convolution, whose weight is [in, out/groups, kernel…]. */
    public boolean isTransposed() {
        return transposed;
    }

    /** The options it was made with, for a layer like it. */
    public Options options() {
        return options.bias(hasParameter("bias"));
    }

    /** Takes over the sizes that its tensors have already. */
    final void resize(long inChannels, long outChannels, long groups) {
        in = inChannels;
        out = outChannels;
        options = options.groups(groups);
    }

    @Override
    protected String extraRepr() {
        var text = new StringBuilder();
        text.append(in).append(", ").append(out);
        text.append(", kernel_size=").append(Repr.tuple(kernel));
        text.append(", stride=").append(Repr.tuple(stride));
        if (isPaddedUnevenly()) {
            text.append(", padding=").append(Repr.pairs(before, after));
        } else if (differs(before, 0)) {
            text.append(", padding=").append(Repr.tuple(before));
        }
        if (differs(dilation, 1)) {
            text.append(", dilation=").append(Repr.tuple(dilation));
        }
        if (differs(outputPadding, 0)) {
            text.append(", output_padding=").append(Repr.tuple(outputPadding));
        }
        if (options.groups() != 1) {
            text.append(", groups=").append(options.groups());
        }
        if (!hasParameter("bias")) {
            text.append(", bias=False");
        }
        if (options.paddingMode() != PaddingMode.ZEROS) {
            text.append(", padding_mode=").append(options.paddingMode());
        }
        return text.toString();
    }

    private static boolean differs(long[] values, long plain) {
        return Arrays.stream(values).anyMatch(value -> value != plain);
    }
}
