package io.espalier.nn;

import io.espalier.tensor.Needed;
import io.espalier.tensor.QuantizedMaxPool;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/** {@link Functional}'s windows moved over spatial dimensions: convolving, pooling, resizing. */
abstract sealed class SpatialFunctions extends ReductionFunctions permits LossFunctions {
    /** {@link #conv2d(Tensor, Tensor, Tensor, long[], long[], long[], long)} over [N, C, L]. */
    public static Tensor conv1d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return conv(1, x, weight, bias, stride, padding, dilation, groups);
    }

    /**
     * A convolution: x [N, C, H, W], weight [out, C/groups, kH, kW], bias [out] or {@code null};
     * stride, padding and dilation one number for both dimensions or one for each.
     */
    public static Tensor conv2d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return conv(2, x, weight, bias, stride, padding, dilation, groups);
    }

    /**
     * {@link #conv2d(Tensor, Tensor, Tensor, long[], long[], long[], long)} over [N, C, D, H, W].
     */
    public static Tensor conv3d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return conv(3, x, weight, bias, stride, padding, dilation, groups);
    }

    /** The convolution of this many dimensions. */
    static Tensor conv(
            int rank,
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return computed(
                () -> {
                    TensorOptional b = optional(bias);
                    return switch (rank) {
                        case 1 -> torch.conv1d(x, weight, b, stride, padding, dilation, groups);
                        case 2 ->
                                WideDepthwise.is(x, weight, groups)
                                        ? WideDepthwise.conv2d(
                                                x, weight, b, stride, padding, dilation, groups)
                                        : torch.conv2d(
                                                x, weight, b, stride, padding, dilation, groups);
                        default -> torch.conv3d(x, weight, b, stride, padding, dilation, groups);
                    };
                },
                "aten::conv" + rank + "d",
                x,
                weight,
                bias,
                stride,
                padding,
                dilation,
                groups);
    }

    /**
     * A transposed convolution of one, two or three dimensions, as many as {@code stride} has: x
     * [N, C, …], weight [C, out/groups, …], bias [out] or {@code null}.
     */
    public static Tensor convTranspose(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] outputPadding,
            long groups,
            long[] dilation) {
        int rank = Needed.of(stride, "the stride").length;
        return computed(
                () -> {
                    TensorOptional b = optional(bias);
                    return switch (rank) {
                        case 1 ->
                                torch.conv_transpose1d(
                                        x,
                                        weight,
                                        b,
                                        stride,
                                        padding,
                                        outputPadding,
                                        groups,
                                        dilation);
                        case 2 ->
                                torch.conv_transpose2d(
                                        x,
                                        weight,
                                        b,
                                        stride,
                                        padding,
                                        outputPadding,
                                        groups,
                                        dilation);
                        default ->
                                torch.conv_transpose3d(
                                        x,
                                        weight,
                                        b,
                                        stride,
                                        padding,
                                        outputPadding,
                                        groups,
                                        dilation);
                    };
                },
                "aten::conv_transpose" + rank + "d" + (rank == 1 ? "" : ".input"),
                x,
                weight,
                bias,
                stride,
                padding,
                outputPadding,
                groups,
                dilation);
    }

    /** Pads {@code x}: two numbers for each dimension, the last dimension first. */
    public static Tensor pad(Tensor x, long[] sides, PaddingMode mode) {
        String name =
                Needed.of(mode, "the padding mode") == PaddingMode.ZEROS
                        ? "constant"
                        : mode.toString();
        return computed(
                () -> torch.pad(x, sides, name, new DoubleOptional()), "aten::pad", x, sides, name);
    }

    /** Surrounds {@code x} by a number: two counts for each dimension, the last dimension first. */
    public static Tensor pad(Tensor x, long[] sides, double number) {
        return computed(
                () -> torch.pad(x, sides, "constant", new DoubleOptional(number)),
                "aten::pad",
                x,
                sides,
                "constant",
                number);
    }

    /** The maximum under a window moved over x [N, C, H, W]. */
    public static Tensor maxPool2d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            long[] dilation,
            boolean ceilMode) {
        return computed(
                () -> largest(x, kernel, stride, padding, dilation, ceilMode),
                "aten::max_pool2d",
                x,
                kernel,
                stride,
                padding,
                dilation,
                ceilMode);
    }

    private static Tensor largest(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            long[] dilation,
            boolean ceilMode) {
        Tensor found =
                Tensors.requireLive(x).is_quantized()
                        ? new QuantizedMaxPool(kernel, stride, padding, dilation, ceilMode).of(x)
                        : null;
        return found == null
                ? torch.max_pool2d(x, kernel, stride, padding, dilation, ceilMode)
                : found;
    }

    /** The maximum under a window moved over x [N, C, L]. */
    public static Tensor maxPool1d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            long[] dilation,
            boolean ceilMode) {
        return computed(
                () -> torch.max_pool1d(x, kernel, stride, padding, dilation, ceilMode),
                "aten::max_pool1d",
                x,
                kernel,
                stride,
                padding,
                dilation,
                ceilMode);
    }

    /** The mean under a window moved over x [N, C, L]. */
    public static Tensor avgPool1d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            boolean ceilMode,
            boolean countIncludePad) {
        return computed(
                () -> torch.avg_pool1d(x, kernel, stride, padding, ceilMode, countIncludePad),
                "aten::avg_pool1d",
                x,
                kernel,
                stride,
                padding,
                ceilMode,
                countIncludePad);
    }

    /** The mean under a window moved over x [N, C, H, W]. */
    public static Tensor avgPool2d(
            Tensor x,
            long[] kernel,
            long[] stride,
            long[] padding,
            boolean ceilMode,
            boolean countIncludePad) {
        return computed(
                () ->
                        torch.avg_pool2d(
                                x,
                                kernel,
                                stride,
                                padding,
                                ceilMode,
                                countIncludePad,
                                new LongOptional()),
                "aten::avg_pool2d",
                x,
                kernel,
                stride,
                padding,
                ceilMode,
                countIncludePad);
    }

    /** The mean of x [N, C, L] over as many windows as the output is to have elements. */
    public static Tensor adaptiveAvgPool1d(Tensor x, long outputSize) {
        return computed(
                () -> torch.adaptive_avg_pool1d(x, outputSize),
                "aten::adaptive_avg_pool1d",
                x,
                new long[] {outputSize});
    }

    /** The mean of x [N, C, H, W] over as many windows as the output is to have elements. */
    public static Tensor adaptiveAvgPool2d(Tensor x, long... outputSize) {
        return computed(
                () -> torch.adaptive_avg_pool2d(x, outputSize),
                "aten::adaptive_avg_pool2d",
                x,
                outputSize);
    }

    /**
     * The maximum of x [N, C, H, W] over as many windows as the output is to have elements. A graph
     * can have it of one window, which is all of x.
     */
    public static Tensor adaptiveMaxPool2d(Tensor x, long... outputSize) {
        Supplier<Tensor> computation =
                () -> pair(torch.adaptive_max_pool2d(x, outputSize)).getFirst();
        return Arrays.equals(outputSize, new long[] {1, 1})
                ? computed(computation, "aten::amax", x, new long[] {-2, -1}, true)
                : unrecorded(computation, "adaptive_max_pool2d", x, outputSize);
    }

    /** [N, C·f², H, W] to [N, C, H·f, W·f]. */
    public static Tensor pixelShuffle(Tensor x, long factor) {
        return computed(() -> torch.pixel_shuffle(x, factor), "aten::pixel_shuffle", x, factor);
    }

    /**
     * x [N, C, L] or [N, C, H, W] made larger or smaller.
     *
     * @param size the output's size along each spatial dimension
     * @param factors the factors that led to the size, which then place the samples; or none
     * @param mode how values are found
     * @param alignCorners whether the corners' centres stay in place
     */
    public static Tensor interpolate(
            Tensor x, long[] size, double[] factors, Upsample.Mode mode, boolean alignCorners) {
        // Factors are recorded without the size, which follows from each input's own.
        boolean fixed = Needed.of(factors, "the factors").length == 0;
        List<@Nullable Object> arguments = new ArrayList<>();
        arguments.add(x);
        arguments.add(fixed ? Needed.of(size, "the size") : null);
        if (Needed.of(mode, "the mode") != Upsample.Mode.NEAREST) {
            arguments.add(alignCorners);
        }
        arguments.add(fixed ? null : factors);
        return computed(
                () -> interpolated(x, size, factors, mode, alignCorners),
                "aten::upsample_" + mode + size.length + "d.vec",
                arguments.toArray());
    }

    private static Tensor interpolated(
            Tensor x, long[] size, double[] factors, Upsample.Mode mode, boolean alignCorners) {
        DoubleOptional first =
                factors.length > 0 ? new DoubleOptional(factors[0]) : new DoubleOptional();
        DoubleOptional second =
                factors.length > 1 ? new DoubleOptional(factors[1]) : new DoubleOptional();
        return switch (mode) {
            case NEAREST ->
                    size.length == 1
                            ? torch.upsample_nearest1d(x, size, first)
                            : torch.upsample_nearest2d(x, size, first, second);
            case LINEAR -> torch.upsample_linear1d(x, size, alignCorners, first);
            case BILINEAR -> torch.upsample_bilinear2d(x, size, alignCorners, first, second);
            case BICUBIC -> torch.upsample_bicubic2d(x, size, alignCorners, first, second);
        };
    }
}
