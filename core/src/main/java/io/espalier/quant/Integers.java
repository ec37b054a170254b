package io.espalier.quant;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Between floats, plain integers, and libtorch's quantized tensors, which carry their scale. */
final class Integers {
    private Integers() {}

    /** A quantized tensor of {@code x}'s values. */
    static Tensor quantize(Tensor x, QuantizationParameters parameters) {
        if (!parameters.dtype().isInteger()) {
            throw new EspalierException(
                    "Can't quantize to " + parameters.dtype() + ", which has no integers.");
        }
        if (!parameters.isPerChannel()) {
            return torch.quantize_per_tensor(
                    x, parameters.scale(), parameters.zeroPoint(), parameters.dtype().scalarType());
        }
        requireChannels(x, parameters);
        return torch.quantize_per_channel(
                x,
                doubles(parameters.scales()),
                longs(parameters.zeroPoints()),
                parameters.channelAxis(),
                parameters.dtype().scalarType());
    }

    /** A quantized tensor of plain integers. */
    static Tensor wrap(Tensor integers, QuantizationParameters parameters) {
        if (!parameters.isPerChannel()) {
            return Operators.call(
                    "aten::_make_per_tensor_quantized_tensor",
                    "",
                    integers,
                    (double) parameters.scale(),
                    (long) parameters.zeroPoint());
        }
        requireChannels(integers, parameters);
        return Operators.call(
                "aten::_make_per_channel_quantized_tensor",
                "",
                integers,
                doubles(parameters.scales()),
                longs(parameters.zeroPoints()),
                (long) parameters.channelAxis());
    }

    private static void requireChannels(Tensor x, QuantizationParameters parameters) {
        int axis = parameters.channelAxis();
        int count = parameters.scales().length;
        if (axis >= x.dim() || x.size(axis) != count) {
            throw new EspalierException(
                    "Can't quantize a tensor of shape "
                            + java.util.Arrays.toString(Tensors.shape(x))
                            + " with "
                            + count
                            + " scales along dimension "
                            + axis
                            + "; that dimension must have "
                            + count
                            + " elements.");
        }
    }

    private static Tensor doubles(float[] scales) {
        return Tensors.of(scales).to(ScalarType.Double);
    }

    private static Tensor longs(int[] zeroPoints) {
        long[] wide = new long[zeroPoints.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = zeroPoints[i];
        }
        return Tensors.of(wide, wide.length);
    }
}
