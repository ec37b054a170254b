package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.Inputs;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Repr;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.PackedObject;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A convolution of one, two or three dimensions, or a transposed one, in 8-bit integers, then a
 * ReLU where it was fused.
 */
final class QuantizedConvolution extends PackedLayer {
    private final Geometry geometry;
    private final boolean relu;
    private final EarlyPadding earlyPadding;

    /**
     * How the kernel moves.
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

        void addTo(Map<String, String> attributes) {
            attributes.put("transposed", Boolean.toString(transposed));
            attributes.put("stride", text(stride));
            attributes.put("padding", text(padding));
            attributes.put("dilation", text(dilation));
            attributes.put("output_padding", text(outputPadding));
            attributes.put("groups", Long.toString(groups));
            attributes.put("reflects", Boolean.toString(reflects));
        }

        int rank() {
            return stride.length;
        }

        /** Prints as PyTorch does; a weight is [·, ·, kernel…]. */
        void print(StringBuilder text, Tensor weight, String ranges) {
            long[] kernelSize = new long[rank()];
            Arrays.setAll(kernelSize, d -> weight.size(d + 2));
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

        /** The operator's name without its namespace: {@code conv2d}, {@code conv_transpose1d}. */
        String operator() {
            return (transposed ? "conv_transpose" : "conv") + rank() + "d";
        }
    }

    private QuantizedConvolution(
            Weight weight, Geometry geometry, boolean relu, Range output, @Nullable Range input) {
        super(weight, output, input);
        this.geometry = geometry;
        this.relu = relu;
        this.earlyPadding = new EarlyPadding(geometry, kernelExtent());
    }

    static QuantizedConvolution of(
            String place,
            Convolution convolution,
            boolean relu,
            Packing packing,
            Range output,
            @Nullable Range input) {
        if (!EarlyPadding.supports(convolution)) {
            throw new EspalierException(
                    "The convolution '"
                            + place
                            + "' pads with "
                            + convolution.paddingMode()
                            + ", which has no int8 kernel; leave it in float with qconfig(null).");
        }
        var weight =
                Weight.of(
                        place,
                        convolution.weight(),
                        convolution.bias(),
                        convolution.isTransposed()
                                ? packing.transposed(
                                        transposing(place, convolution, packing.engine()))
                                : packing);
        return new QuantizedConvolution(weight, Geometry.of(convolution), relu, output, input);
    }

    /**
     * The engine that runs a transposed convolution: oneDNN's kernels, which x86 chooses too, give
     * wrong sums for these, and qnnpack's for those of three dimensions.
     */
    private static Engine transposing(String place, Convolution convolution, Engine wanted) {
        boolean right =
                wanted == Engine.FBGEMM
                        || (wanted == Engine.QNNPACK && convolution.stride().length < 3);
        if (right) {
            return wanted;
        }
        if (!Engine.available().contains(Engine.FBGEMM)) {
            throw new EspalierException(
                    "The transposed convolution '"
                            + place
                            + "' has no right int8 kernel of the engine "
                            + wanted
                            + " and fbgemm is not in this platform's libtorch; leave it in float"
                            + " with qconfig(null).");
        }
        return Engine.FBGEMM;
    }

    static QuantizedConvolution read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        return new QuantizedConvolution(
                Weight.read(tensors, attributes),
                Geometry.read(attributes),
                Boolean.parseBoolean(attributes.get("relu")),
                output(tensors),
                input(tensors));
    }

    @Override
    Operator operator() {
        boolean overloaded = !geometry.transposed && geometry.rank() > 1;
        return Operators.find(
                "quantized::" + geometry.operator() + (relu ? "_relu" : ""),
                overloaded ? "new" : "");
    }

    @Override
    PackedObject pack(Tensor weight, @Nullable Tensor bias) {
        Operator prepack = Operators.find("quantized::" + geometry.operator() + "_prepack", "");
        return geometry.transposed
                ? prepack.packed(
                        weight,
                        bias,
                        geometry.stride,
                        geometry.padding,
                        geometry.outputPadding,
                        geometry.dilation,
                        geometry.groups)
                : prepack.packed(
                        weight,
                        bias,
                        geometry.stride,
                        earlyPadding.rest(),
                        geometry.dilation,
                        geometry.groups);
    }

    @Override
    protected Tensor forward(Tensor x) {
        int rank = geometry.rank();
        Inputs.requireChannels(this, x, rank, inChannels());
        boolean batched = x.dim() == rank + 2;
        requireOutput(x);
        Tensor input = earlyPadding.around(quantized(batched ? x : x.unsqueeze(0)));
        Tensor y = kernel().call(rank == 2 ? ChannelsLast.ofPicture(input) : input);
        return batched ? y : y.squeeze(0);
    }

    /**
     * The kernels themselves give wrong values for inputs that are too small, or end the process.
     */
    private void requireOutput(Tensor x) {
        if (!geometry.transposed) {
            Inputs.requireWindow(this, x, kernelExtent(), geometry.padding);
            if (!earlyPadding.fits(x)) {
                throw wrongInput(x, "it can't be mirrored farther than it is long.");
            }
            return;
        }
        long[] extent = kernelExtent();
        for (int d = 0; d < extent.length; d++) {
            long given = x.size(x.dim() - extent.length + d);
            long size =
                    (given - 1) * geometry.stride[d]
                            - 2 * geometry.padding[d]
                            + extent[d]
                            + geometry.outputPadding[d];
            if (given < 1 || size < 1) {
                throw wrongInput(x, "the input is too small: the output would be empty.");
            }
        }
    }

    /** The kernel's size with its gaps. */
    private long[] kernelExtent() {
        Tensor weight = buffer("weight");
        long[] extent = new long[geometry.rank()];
        Arrays.setAll(extent, d -> geometry.dilation[d] * (weight.size(d + 2) - 1) + 1);
        return extent;
    }

    private long inChannels() {
        Tensor weight = buffer("weight");
        return geometry.transposed ? weight.size(0) : weight.size(1) * geometry.groups;
    }

    private long outChannels() {
        Tensor weight = buffer("weight");
        return geometry.transposed ? weight.size(1) * geometry.groups : weight.size(0);
    }

    @Override
    Map<String, String> attributes() {
        Map<String, String> attributes = super.attributes();
        attributes.put("relu", Boolean.toString(relu));
        geometry.addTo(attributes);
        return attributes;
    }

    private static String text(long[] numbers) {
        return Arrays.stream(numbers).mapToObj(Long::toString).collect(Collectors.joining(","));
    }

    private static long[] numbers(Map<String, String> attributes, String name) {
        return Arrays.stream(attributes.getOrDefault(name, "").split(",", -1))
                .mapToLong(Long::parseLong)
                .toArray();
    }

    @Override
    protected String typeName() {
        return "Quantized"
                + (geometry.transposed ? "ConvTranspose" : relu ? "ConvReLU" : "Conv")
                + geometry.rank()
                + "d";
    }

    @Override
    protected String extraRepr() {
        var text = new StringBuilder();
        text.append(inChannels()).append(", ").append(outChannels());
        geometry.print(text, buffer("weight"), ranges());
        if (!hasBias()) {
            text.append(", bias=False");
        }
        return text.toString();
    }

    private static void appendUnless(StringBuilder text, String name, long[] values, long plain) {
        if (Arrays.stream(values).anyMatch(value -> value != plain)) {
            text.append(", ").append(name).append('=').append(Repr.tuple(values));
        }
    }
}
