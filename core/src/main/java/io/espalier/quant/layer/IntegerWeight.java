package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.observer.Integers;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Map;

/**
 * A weight as integers. A module keeps it in three buffers: {@code NAME} (plain signed 8 bit),
 * {@code NAME_scale} and {@code NAME_zero_point}.
 *
 * @param integers the weight in plain signed 8 bit
 * @param parameters how the integers stand for numbers
 */
record IntegerWeight(Tensor integers, QuantizationParameters parameters) {
    private static final String SCALE = "_scale";
    private static final String ZERO_POINT = "_zero_point";

    /** How far an 8-bit integer of the input is from its zero point, at most. */
    private static final long LARGEST_INPUT = 255;

    /** So many products of 8-bit integers add up to less than 2³¹, whatever they are. */
    private static final long ALWAYS_FITS = Integer.MAX_VALUE / (LARGEST_INPUT * 128);

    /**
     * Observes and quantizes a float weight for an engine.
     *
     * @throws EspalierException if the engine's kernels don't take such a weight
     */
    static IntegerWeight of(String place, Tensor weight, Packing packing) {
        IntegerWeight made = of(place, weight, packing.weight());
        made.requireRunsOn(place, packing.engine());
        made.requireSumsFit(place);
        return made;
    }

    /** Refuses a weight with a row so long that a sum of products may leave 32 bits. */
    private void requireSumsFit(String place) {
        long length = integers.numel() / Math.max(1, integers.size(0));
        if (length <= ALWAYS_FITS) {
            return;
        }
        long largest =
                integers.reshape(-1, length).to(ScalarType.Int).abs().sum(1).max().item_long();
        if (largest * LARGEST_INPUT > Integer.MAX_VALUE) {
            throw new EspalierException(
                    "'"
                            + place
                            + "' has rows of "
                            + length
                            + " entries, whose products with the input's 8-bit integers may add up"
                            + " to more than the 32 bits of the int8 kernels hold; leave the layer"
                            + " in float: qconfig(null).");
        }
    }

    /**
     * Refuses a weight that an engine's kernels don't take.
     *
     * @param place what it is called in the error
     */
    void requireRunsOn(String place, Engine engine) {
        boolean symmetric = Arrays.stream(parameters.zeroPoints()).allMatch(zero -> zero == 0);
        if (engine == Engine.ONEDNN && !symmetric) {
            throw new EspalierException(
                    "'"
                            + place
                            + "' is quantized with zero points; oneDNN's kernels take symmetric"
                            + " weights: use a symmetric qscheme, or another engine.");
        }
    }

    /** Observes and quantizes a float weight. */
    static IntegerWeight of(String place, Tensor weight, ObserverFactory factory) {
        Observer observer = factory.made();
        observer.standsAt(place);
        observer.call(weight.detach());
        return of(place, weight, observer.quantizationParameters());
    }

    static IntegerWeight of(String place, Tensor weight, QuantizationParameters parameters) {
        if (parameters.dtype() != QuantizedType.QINT8) {
            throw new EspalierException(
                    "'"
                            + place
                            + "' is configured as "
                            + parameters.dtype()
                            + "; the int8 kernels take weights of torch.qint8.");
        }
        if (parameters.channelAxis() > 0) {
            throw new EspalierException(
                    "'"
                            + place
                            + "' is configured with a scale for each place along dimension "
                            + parameters.channelAxis()
                            + "; the int8 kernels take one for each output, channelAxis(0), or one"
                            + " for all.");
        }
        // libtorch clamps to the type only; a range of fewer bits is clamped to beforehand.
        Tensor inRange = Integers.inRange(weight.detach().contiguous(), parameters);
        return new IntegerWeight(Integers.quantize(inRange, parameters).int_repr(), parameters);
    }

    /**
     * The weight among the tensors of a module or a file.
     *
     * @throws EspalierException if it is not of signed 8-bit integers, or its scales and zero
     *     points can't be
     */
    static IntegerWeight read(Map<String, Tensor> tensors, String name, int channelAxis) {
        requireType(name, tensors, ScalarType.Char);
        long[] zeroPoints = Tensors.longs(QuantizedLayer.required(tensors, name + ZERO_POINT));
        for (long zeroPoint : zeroPoints) {
            if (zeroPoint < QuantizedType.QINT8.min() || zeroPoint > QuantizedType.QINT8.max()) {
                throw new EspalierException(
                        "'"
                                + name
                                + ZERO_POINT
                                + "' is "
                                + zeroPoint
                                + ", no signed 8-bit integer");
            }
        }
        var parameters =
                new QuantizationParameters(
                        Tensors.floats(QuantizedLayer.required(tensors, name + SCALE)),
                        Arrays.stream(zeroPoints).mapToInt(Math::toIntExact).toArray(),
                        channelAxis,
                        QuantizedType.QINT8,
                        channelAxis < 0 ? Qscheme.PER_TENSOR_AFFINE : Qscheme.PER_CHANNEL_AFFINE,
                        QuantizedType.QINT8.min(),
                        QuantizedType.QINT8.max());
        Tensor integers = QuantizedLayer.required(tensors, name);
        long channels = channelAxis < 0 ? 1 : integers.dim() == 0 ? 0 : integers.size(channelAxis);
        if (zeroPoints.length != channels) {
            throw new EspalierException(
                    "'"
                            + name
                            + "' of shape "
                            + Arrays.toString(Tensors.shape(integers))
                            + " needs "
                            + channels
                            + " scales; it has "
                            + zeroPoints.length);
        }
        return new IntegerWeight(integers, parameters);
    }

    /** Refuses a tensor of another type. */
    static void requireType(String name, Map<String, Tensor> tensors, ScalarType type) {
        ScalarType found = Tensors.type(QuantizedLayer.required(tensors, name));
        if (found != type) {
            throw new EspalierException("'" + name + "' must be " + type + "; it is " + found);
        }
    }

    /**
     * Refuses a tensor of another shape.
     *
     * @param shape what it must have, with −1 where any size of at least 1 is right
     */
    static void requireShape(String name, Tensor tensor, long... shape) {
        long[] found = Tensors.shape(tensor);
        boolean right = found.length == shape.length;
        for (int d = 0; right && d < shape.length; d++) {
            right = shape[d] < 0 ? found[d] > 0 : found[d] == shape[d];
        }
        if (!right) {
            throw new EspalierException(
                    "'"
                            + name
                            + "' has the shape "
                            + Arrays.toString(found)
                            + "; needed is "
                            + Arrays.toString(shape).replace("-1", "any"));
        }
    }

    /** Refuses a bias that is not one 32-bit float for each output. */
    static void requireBias(@Nullable Tensor bias, long out) {
        if (bias != null) {
            requireShape("bias", bias, out);
            if (Tensors.type(bias) != ScalarType.Float) {
                throw new EspalierException("'bias' must be Float; it is " + Tensors.type(bias));
            }
        }
    }

    /** Keeps the weight in a module's buffers. */
    void addTo(Module module, String name) {
        int[] zeroPoints = parameters.zeroPoints();
        module.addBuffer(name, integers);
        module.addBuffer(name + SCALE, Tensors.of(parameters.scales()));
        module.addBuffer(
                name + ZERO_POINT,
                Tensors.of(Arrays.stream(zeroPoints).asLongStream().toArray(), zeroPoints.length));
    }

    /** The floats that the integers stand for. */
    Tensor floats() {
        return quantized().dequantize();
    }

    /** The weight as libtorch's quantized tensor. */
    Tensor quantized() {
        return Integers.wrap(integers, parameters);
    }
}
