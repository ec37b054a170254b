package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.Inputs;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Repr;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * How the kernel of a convolution goes over its input. A weight is [out, in / groups, kernel…], a
 * transposed one [in, out / groups, kernel…].
 *
 * @param transposed whether this is a transposed convolution
 * @param stride the stride along each spatial dimension
 * @param padding the padding of both sides of each
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
        long[] dilation,
        long[] outputPadding,
        long groups,
        boolean reflects) {
    static Geometry of(Convolution convolution) {
        return new Geometry(
                convolution.isTransposed(),
                convolution.stride(),
                convolution.padding(),
                convolution.dilation(),
                convolution.outputPadding(),
                convolution.groups(),
                convolution.paddingMode() == PaddingMode.REFLECT);
    }

    static Geometry read(Map<String, String> attributes) {
        return new Geometry(
                Boolean.parseBoolean(attributes.get("transposed")),
                numbers(attributes, "stride"),
                numbers(attributes, "padding"),
                numbers(attributes, "dilation"),
                numbers(attributes, "output_padding"),
                numbers(attributes, "groups")[0],
                Boolean.parseBoolean(attributes.get("reflects")));
    }

    private static long[] numbers(Map<String, String> attributes, String name) {
        return Arrays.stream(attributes.getOrDefault(name, "").split(",", -1))
                .mapToLong(Long::parseLong)
                .toArray();
    }

    void addTo(Map<String, String> attributes) {
        attributes.put("transposed", Boolean.toString(transposed));
        attributes.put("stride", text(stride));
        attributes.put("padding", text(padding));
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
        Inputs.requireChannels(layer, x, rank(), inChannels(weight));
        if (transposed) {
            long[] shape = outputShape(x, weight);
            Inputs.requireOutput(layer, x, Arrays.copyOfRange(shape, 2, shape.length));
        } else {
            Inputs.requireWindow(layer, x, window(weight), padding);
        }
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
        shape[0] = x.size(0);
        shape[1] = outChannels(weight);
        for (int d = 0; d < rank(); d++) {
            long size = x.size(x.dim() - rank() + d);
            shape[d + 2] =
                    transposed
                            ? spread(size, window[d], d)
                            : (size + 2 * padding[d] - window[d]) / stride[d] + 1;
        }
        return shape;
    }

    /** What a transposed convolution makes of a size; of nothing it makes nothing. */
    private long spread(long size, long window, int d) {
        return size == 0 ? 0 : (size - 1) * stride[d] - 2 * padding[d] + window + outputPadding[d];
    }

    /** Prints as PyTorch does. */
    void print(StringBuilder text, Tensor weight, String ranges) {
        long[] kernelSize = new long[rank()];
        Arrays.setAll(kernelSize, d -> weight.size(d + 2));
        text.append(inChannels(weight)).append(", ").append(outChannels(weight));
        text.append(", kernel_size=").append(Repr.tuple(kernelSize));
        text.append(", stride=").append(Repr.tuple(stride));
        text.append(", ").append(ranges);
        appendUnless(text, "padding", padding, 0);
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
