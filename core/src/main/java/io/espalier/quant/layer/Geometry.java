package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.LayerInputs;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Repr;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * How the kernel of a convolution goes over its input. A weight is [out, in / groups, kernel…], a
 * transposed one [in, out / groups, kernel…].
 *
 * @param transposed whether this is a transposed convolution
 * @param stride the stride along each spatial dimension
 * @param padding the padding before each: left, above
 * @param paddingAfter the padding after each: right, below
 * @param dilation the dilation along each
 * @param outputPadding what a transposed convolution adds to one side of each
 * @param groups the number of groups
 * @param reflects whether the padding is the input mirrored at its edge, not zeros
 */
@SuppressWarnings("ArrayRecordComponent") // never leaves the layer
record Geometry(
        boolean transposed,
        long[] stride,
        long[] padding,
        long[] paddingAfter,
        long[] dilation,
        long[] outputPadding,
        long groups,
        boolean reflects) {
    /** More than any network pads; a file that says so is damaged, and would run for minutes. */
    private static final long MOST_PADDING = 1 << 16;

    /** What the kernels count with. */
    private static final long MOST = Integer.MAX_VALUE;

    /**
     * Checks what the kernels do not: they end the process at a stride of 0.
     *
     * @throws EspalierException if a number is out of its range, or there are not so many of each
     *     as dimensions
     */
    Geometry {
        int rank = stride.length;
        if (rank < 1 || rank > 3) {
            throw new EspalierException(
                    "a convolution has 1 to 3 spatial dimensions; its stride has " + rank);
        }
        require("stride", stride, rank, 1);
        require("padding", padding, rank, 0);
        require("padding_after", paddingAfter, rank, 0);
        require("dilation", dilation, rank, 1);
        require("output_padding", outputPadding, rank, 0);
        require("groups", new long[] {groups}, 1, 1);
        boolean padsOutput = Arrays.stream(outputPadding).anyMatch(p -> p != 0);
        if (!transposed && padsOutput) {
            throw new EspalierException("only transposed convolutions have an output_padding");
        }
        if (transposed && !Arrays.equals(padding, paddingAfter)) {
            throw new EspalierException(
                    "transposed convolutions take the same off both sides of their output");
        }
        if (reflects && (transposed || rank == 3)) {
            throw new EspalierException(
                    "only convolutions of 1 and 2 dimensions mirror integers at their edge");
        }
    }

    private static void require(String name, long[] values, int count, long least) {
        boolean right = values.length == count;
        for (long value : values) {
            right &= value >= least && value <= MOST;
        }
        if (!right) {
            throw new EspalierException(
                    "'"
                            + name
                            + "' of a convolution of "
                            + count
                            + " dimensions is "
                            + Arrays.toString(values)
                            + "; needed are numbers of at least "
                            + least);
        }
    }

    static Geometry of(Convolution convolution) {
        return new Geometry(
                convolution.isTransposed(),
                convolution.stride(),
                convolution.paddingBefore(),
                convolution.paddingAfter(),
                convolution.dilation(),
                convolution.outputPadding(),
                convolution.groups(),
                convolution.paddingMode() == PaddingMode.REFLECT);
    }

    static Geometry read(Map<String, String> attributes) {
        return new Geometry(
                Attributes.flag(attributes, "transposed"),
                Attributes.numbers(attributes, "stride", 1, MOST),
                Attributes.numbers(attributes, "padding", 0, MOST_PADDING),
                Attributes.numbers(
                        attributes,
                        attributes.containsKey("padding_after") ? "padding_after" : "padding",
                        0,
                        MOST_PADDING),
                Attributes.numbers(attributes, "dilation", 1, MOST),
                Attributes.numbers(attributes, "output_padding", 0, MOST),
                Attributes.number(attributes, "groups", 1, MOST),
                // files of before know no mirroring
                attributes.containsKey("reflects") && Attributes.flag(attributes, "reflects"));
    }

    /**
     * Refuses a weight and a bias that can't be this convolution's.
     *
     * @throws EspalierException if the weight has other dimensions, the groups don't divide its
     *     channels, or the bias is not one number a channel of the output
     */
    void requireFits(Tensor weight, @Nullable Tensor bias) {
        boolean right = weight.dim() == rank() + 2 && weight.numel() > 0;
        if (!right || weight.size(0) % groups != 0) {
            throw new EspalierException(
                    "a convolution of "
                            + rank()
                            + " dimensions in "
                            + groups
                            + " groups can't have a weight of "
                            + Arrays.toString(Tensors.shape(weight)));
        }
        IntegerWeight.requireBias(bias, outChannels(weight));
    }

    void addTo(Map<String, String> attributes) {
        attributes.put("transposed", Boolean.toString(transposed));
        attributes.put("stride", text(stride));
        attributes.put("padding", text(padding));
        if (isUneven()) {
            attributes.put("padding_after", text(paddingAfter));
        }
        attributes.put("dilation", text(dilation));
        attributes.put("output_padding", text(outputPadding));
        attributes.put("groups", Long.toString(groups));
        attributes.put("reflects", Boolean.toString(reflects));
    }

    private static String text(long[] numbers) {
        return Arrays.stream(numbers).mapToObj(Long::toString).collect(Collectors.joining(","));
    }

    int rank() {
        return stride.length;
    }

    /** Whether the padding before is not the one after. */
    boolean isUneven() {
        return !Arrays.equals(padding, paddingAfter);
    }

    private long added(int d) {
        return padding[d] + paddingAfter[d];
    }

    private long inChannels(Tensor weight) {
        return transposed ? weight.size(0) : weight.size(1) * groups;
    }

    private long outChannels(Tensor weight) {
        return transposed ? weight.size(1) * groups : weight.size(0);
    }

    /**
     * Refuses an input that the layer can't take. The kernels themselves give wrong values for one
     * that is too small, or end the process.
     *
     * @param x [N, C, spatial…] or [C, spatial…]
     */
    void requireFits(Module layer, Tensor x, Tensor weight) {
        LayerInputs.requireChannels(layer, x, rank(), inChannels(weight));
        if (!transposed) {
            LayerInputs.requireWindow(layer, x, window(weight), padding, paddingAfter);
        }
        long[] shape = outputShape(x, weight);
        if (transposed) {
            LayerInputs.requireOutput(layer, x, Arrays.copyOfRange(shape, 2, shape.length));
        }
        requireCountable(layer, x, shape);
        requireCountable(layer, x, paddedShape(x));
    }

    /** The kernels count elements in 32 bits, and end the process where these overflow. */
    private static void requireCountable(Module layer, Tensor x, long[] shape) {
        double elements = 1;
        for (long size : shape) {
            elements *= size;
        }
        if (elements > MOST) {
            throw LayerInputs.tooLarge(layer, x, shape);
        }
    }

    private long[] paddedShape(Tensor x) {
        long[] shape = Tensors.shape(x);
        for (int d = 0; !transposed && d < rank(); d++) {
            shape[shape.length - rank() + d] += added(d);
        }
        return shape;
    }

    /** The kernel's size with its gaps. */
    long[] window(Tensor weight) {
        long[] window = new long[rank()];
        Arrays.setAll(window, d -> dilation[d] * (weight.size(d + 2) - 1) + 1);
        return window;
    }

    /** The shape of what the layer makes of [N, C, spatial…]. */
    long[] outputShape(Tensor x, Tensor weight) {
        long[] window = window(weight);
        long[] shape = new long[rank() + 2];
        shape[0] = x.dim() == rank() + 2 ? x.size(0) : 1;
        shape[1] = outChannels(weight);
        for (int d = 0; d < rank(); d++) {
            long size = x.size(x.dim() - rank() + d);
            shape[d + 2] =
                    transposed
                            ? spread(size, window[d], d)
                            : (size + added(d) - window[d]) / stride[d] + 1;
        }
        return shape;
    }

    /** What a transposed convolution makes of a size; of nothing it makes nothing. */
    private long spread(long size, long window, int d) {
        return size == 0 ? 0 : (size - 1) * stride[d] - added(d) + window + outputPadding[d];
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Geometry that
                && transposed == that.transposed
                && Arrays.equals(stride, that.stride)
                && Arrays.equals(padding, that.padding)
                && Arrays.equals(paddingAfter, that.paddingAfter)
                && Arrays.equals(dilation, that.dilation)
                && Arrays.equals(outputPadding, that.outputPadding)
                && groups == that.groups
                && reflects == that.reflects;
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(stride) + 31 * Arrays.hashCode(padding);
    }

    /** Prints as PyTorch does. */
    void print(StringBuilder text, Tensor weight, String ranges) {
        long[] kernelSize = new long[rank()];
        Arrays.setAll(kernelSize, d -> weight.size(d + 2));
        text.append(inChannels(weight)).append(", ").append(outChannels(weight));
        text.append(", kernel_size=").append(Repr.tuple(kernelSize));
        text.append(", stride=").append(Repr.tuple(stride));
        text.append(", ").append(ranges);
        if (isUneven()) {
            text.append(", padding=").append(Repr.pairs(padding, paddingAfter));
        } else {
            appendUnless(text, "padding", padding, 0);
        }
        appendUnless(text, "dilation", dilation, 1);
        appendUnless(text, "output_padding", outputPadding, 0);
        if (groups != 1) {
            text.append(", groups=").append(groups);
        }
    }

    private static void appendUnless(StringBuilder text, String name, long[] values, long plain) {
        if (Arrays.stream(values).anyMatch(value -> value != plain)) {
            text.append(", ").append(name).append('=').append(Repr.tuple(values));
        }
    }

    /** The operator's name without its namespace: {@code conv2d}, {@code conv_transpose1d}. */
    String operator() {
        return (transposed ? "conv_transpose" : "conv") + rank() + "d";
    }
}
