package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Between floats, plain integers, and libtorch's quantized tensors, which carry their scale. */
@Internal
public final class Integers {
    private Integers() {}

    /** The type that libtorch computes with; 4-bit integers take a byte each there. */
    public static ScalarType type(QuantizedType dtype) {
        return switch (dtype) {
            case QUINT8, QUINT4X2 -> ScalarType.QUInt8;
            case QINT8 -> ScalarType.QInt8;
            case QINT32 -> ScalarType.QInt32;
            case FLOAT16 -> ScalarType.Half;
        };
    }

    /**
     * A quantized tensor of {@code x}'s values.
     *
     * @param x floats, of any shape
     * @throws EspalierException if the type has no integers, or the channels don't fit {@code x}
     */
    public static Tensor quantize(Tensor x, QuantizationParameters parameters) {
        if (!parameters.dtype().isInteger()) {
            throw new EspalierException(
                    "Can't quantize to " + parameters.dtype() + ", which has no integers.");
        }
        // libtorch clamps to the type only, and has none of 4 bits here.
        Tensor values = parameters.dtype() == QuantizedType.QUINT4X2 ? inRange(x, parameters) : x;
        if (!parameters.isPerChannel()) {
            return torch.quantize_per_tensor(
                    values, parameters.scale(), parameters.zeroPoint(), type(parameters.dtype()));
        }
        requireChannels(x, parameters);
        return torch.quantize_per_channel(
                // libtorch takes channels-last tensors for the first two dimensions only.
                parameters.channelAxis() > 1 ? values.contiguous() : values,
                doubles(parameters.scales()),
                longs(parameters.zeroPoints()),
                parameters.channelAxis(),
                type(parameters.dtype()));
    }

    /** The values that integers of the parameters' own range can stand for, next to {@code x}'s. */
    public static Tensor inRange(Tensor x, QuantizationParameters parameters) {
        boolean narrow =
                parameters.dtype() == QuantizedType.QUINT4X2
                        || parameters.quantMin() > parameters.dtype().min()
                        || parameters.quantMax() < parameters.dtype().max();
        return narrow ? parameters.simulate(x) : x;
    }

    /**
     * A quantized tensor of plain integers.
     *
     * @param integers of 8 or 32 bits, as the parameters say, of any shape
     * @throws EspalierException if the channels don't fit the integers
     */
    public static Tensor wrap(Tensor integers, QuantizationParameters parameters) {
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
