package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * What the convolutions of one, two and three dimensions and their transposes share: a weight, a
 * bias, and the numbers that say how the kernel moves.
 */
public abstract non-sealed class Convolution extends ConvolutionSettings {
    /**
     * How a convolution differs from the plain one. Spatial values are one number for all
     * dimensions or one for each.
     *
     * @param stride the steps between two positions of the kernel, at least 1
     * @param padding what is put before the input, at least 0
     * @param paddingAfter what is put after the input; none for as much as before it
     * @param dilation the distance between two elements of the kernel, at least 1
     * @param outputPadding what a transposed convolution adds to one side of its output
     * @param groups into how many independent parts the channels are divided
     * @param bias whether a bias is added
     * @param paddingMode what the padding is filled with
     */
    public record Options(
            List<Long> stride,
            List<Long> padding,
            List<Long> paddingAfter,
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
                        List.of(),
                        List.of(1L),
                        List.of(0L),
                        1,
                        true,
                        PaddingMode.ZEROS);

        /** The same with another stride. */
        public Options stride(long... value) {
            return with(Extents.of(value), padding, paddingAfter, dilation, outputPadding);
        }

        /** The same with another padding, the same on both sides. */
        public Options padding(long... value) {
            return with(stride, Extents.of(value), List.of(), dilation, outputPadding);
        }

        /** The same with a padding that differs before and after the input. */
        public Options padding(long[] before, long[] after) {
            return with(stride, Extents.of(before), Extents.of(after), dilation, outputPadding);
        }

        /** The same with another dilation. */
        public Options dilation(long... value) {
            return with(stride, padding, paddingAfter, Extents.of(value), outputPadding);
        }

        /** The same with another padding of the output, which only transposed convolutions have. */
        public Options outputPadding(long... value) {
            return with(stride, padding, paddingAfter, dilation, Extents.of(value));
        }

        private Options with(
                List<Long> newStride,
                List<Long> before,
                List<Long> after,
                List<Long> newDilation,
                List<Long> newOutputPadding) {
            return new Options(
                    newStride,
                    before,
                    after,
                    newDilation,
                    newOutputPadding,
                    groups,
                    bias,
                    paddingMode);
        }

        private Options with(long newGroups, boolean newBias, PaddingMode mode) {
            return new Options(
                    stride,
                    padding,
                    paddingAfter,
                    dilation,
                    outputPadding,
                    newGroups,
                    newBias,
                    mode);
        }

        /** The same with another number of groups. */
        public Options groups(long value) {
            return with(value, bias, paddingMode);
        }

        /** The same with or without a bias. */
        public Options bias(boolean value) {
            return with(groups, value, paddingMode);
        }

        /**
         * The same with another filling of the padding; transposed convolutions have zeros only.
         */
        public Options paddingMode(PaddingMode value) {
            return with(groups, bias, value);
        }
    }

    Convolution(
            int rank,
            boolean transposed,
            long in,
            long out,
            long[] kernel,
            UnaryOperator<Options> with) {
        Options options = Needed.from(with, Options.DEFAULT, "the options");
        super(rank, transposed, in, out, kernel, options);
        long[] shape = new long[2 + rank];
        shape[0] = transposed ? in : out;
        shape[1] = (transposed ? out : in) / options.groups();
        System.arraycopy(kernelSize(), 0, shape, 2, rank);
        long fanIn = Arrays.stream(shape).skip(1).reduce(1, Math::multiplyExact);
        addParameter("weight", Init.kaimingUniform(fanIn, shape));
        if (options.bias()) {
            addParameter("bias", Init.bias(fanIn, out));
        }
    }

    /** A layer of given tensors. */
    Convolution(
            int rank,
            boolean transposed,
            Tensor weight,
            @Nullable Tensor bias,
            UnaryOperator<Options> with) {
        Options options = Needed.from(with, Options.DEFAULT, "the options").bias(bias != null);
        Given.requireDimensions("A convolution", weight, rank + 2);
        long[] shape = Tensors.shape(weight);
        long across = shape[1] * Extents.requireAtLeast("groups", options.groups(), 1);
        long in = transposed ? shape[0] : across;
        long out = transposed ? across : shape[0];
        super(rank, transposed, in, out, Arrays.copyOfRange(shape, 2, shape.length), options);
        addParameter("weight", weight);
        Given.add(this, "bias", bias, out);
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

    /**
     * A layer like this one that takes some of its input channels only, in this order; masks go
     * with their weights. One with groups keeps as many of each, in the groups' order.
     *
     * @throws EspalierException if an index is out of range or there twice, or the groups differ
     */
    public Convolution withInputs(long... kept) {
        Selection selection = new Selection(this);
        long[][] groups = Selection.byGroup(this, "input channels", inChannels(), groups(), kept);
        if (isTransposed()) {
            selection.along("weight", 0, kept);
        } else {
            selection.with(this, "weight", weight -> Selection.selectInParts(weight, groups));
        }
        Convolution layer = selection.apply();
        layer.resize(kept.length, outChannels(), groups());
        return layer;
    }

    /**
     * A layer like this one that gives some of its output channels only, in this order; masks go
     * with their weights. One with groups keeps as many of each, in the groups' order.
     *
     * @throws EspalierException if an index is out of range or there twice, or the groups differ
     */
    public Convolution withOutputs(long... kept) {
        Selection selection = new Selection(this);
        long[][] groups = Selection.byGroup(this, "output channels", outChannels(), groups(), kept);
        if (isTransposed()) {
            selection.with(this, "weight", weight -> Selection.selectInParts(weight, groups));
        } else {
            selection.along("weight", 0, kept);
        }
        Convolution layer = selection.along("bias", 0, kept).apply();
        layer.resize(inChannels(), kept.length, groups());
        return layer;
    }

    /**
     * A layer like this one with some of its groups only, in this order, and their input and output
     * channels: those of a depthwise convolution are its channels.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public Convolution withGroups(long... kept) {
        Selection.require(this, "groups", groups(), kept);
        long[] inputs = Selection.blocks(inChannels() / groups(), kept);
        long[] outputs = Selection.blocks(outChannels() / groups(), kept);
        Convolution layer =
                new Selection(this)
                        .with(
                                this,
                                "weight",
                                weight ->
                                        Selection.select(
                                                weight, 0, isTransposed() ? inputs : outputs))
                        .with(this, "bias", bias -> Selection.select(bias, 0, outputs))
                        .apply();
        layer.resize(inputs.length, outputs.length, kept.length);
        return layer;
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return multiplications(
                parameter(storedName("weight")),
                isTransposed() ? inputs.getFirst() : outputs.getFirst());
    }

    @Override
    public boolean isAtomic() {
        return computesAs(
                Conv1d.class,
                Conv2d.class,
                Conv3d.class,
                ConvTranspose1d.class,
                ConvTranspose2d.class,
                ConvTranspose3d.class);
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
        long[] stride = stride();
        long[] dilation = dilation();
        int rank = stride.length;
        LayerInputs.requireChannels(this, x, rank, inChannels());
        if (isTransposed()) {
            return Functional.convTranspose(
                    x, weight, bias, stride, paddingBefore(), outputPadding(), groups(), dilation);
        }
        return isPaddedByKernel()
                ? Functional.conv(
                        rank, x, weight, bias, stride, paddingBefore(), dilation, groups())
                : Functional.conv(
                        rank, pad(x), weight, bias, stride, new long[rank], dilation, groups());
    }

    /** Kernels put as many zeros on both sides. */
    private boolean isPaddedByKernel() {
        return paddingMode() == PaddingMode.ZEROS && !isPaddedUnevenly();
    }

    /** An input with this convolution's padding around it. */
    public final Tensor pad(Tensor x) {
        return Functional.pad(x, Extents.sides(paddingBefore(), paddingAfter()), paddingMode());
    }
}
