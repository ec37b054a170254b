package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

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

    /**
     * Observes and quantizes a float weight for an engine.
     *
     * @throws EspalierException if the engine's kernels don't take such a weight
     */
    static IntegerWeight of(String place, Tensor weight, Packing packing) {
        IntegerWeight made = of(place, weight, packing.weight());
        boolean symmetric = Arrays.stream(made.parameters.zeroPoints()).allMatch(zero -> zero == 0);
        if (packing.engine() == Engine.ONEDNN && !symmetric) {
            throw new EspalierException(
                    "'"
                            + place
                            + "' is quantized with zero points; oneDNN's kernels take symmetric"
                            + " weights: use a symmetric qscheme, or another engine.");
        }
        return made;
    }

    /** Observes and quantizes a float weight. */
    static IntegerWeight of(String place, Tensor weight, ObserverFactory factory) {
        Observer observer = factory.make();
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

    /** The weight among the tensors of a module or a file. */
    static IntegerWeight read(Map<String, Tensor> tensors, String name, int channelAxis) {
        long[] zeroPoints = Tensors.longs(QuantizedLayer.required(tensors, name + ZERO_POINT));
        var parameters =
                new QuantizationParameters(
                        Tensors.floats(QuantizedLayer.required(tensors, name + SCALE)),
                        Arrays.stream(zeroPoints).mapToInt(Math::toIntExact).toArray(),
                        channelAxis,
                        QuantizedType.QINT8,
                        channelAxis < 0 ? Qscheme.PER_TENSOR_AFFINE : Qscheme.PER_CHANNEL_AFFINE,
                        QuantizedType.QINT8.min(),
                        QuantizedType.QINT8.max());
        return new IntegerWeight(QuantizedLayer.required(tensors, name), parameters);
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
