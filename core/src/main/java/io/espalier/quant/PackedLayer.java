package io.espalier.quant;

import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.PackedObject;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * A quantized layer with a weight: buffers {@code weight} (plain 8-bit integers), {@code
 * weight_scale}, {@code weight_zero_point}, {@code bias} (float). From them the weight is packed
 * for the engine that runs it.
 */
abstract class PackedLayer extends QuantizedLayer {
    private static final String WEIGHT = "weight";
    private static final String WEIGHT_SCALE = "weight_scale";
    private static final String WEIGHT_ZERO_POINT = "weight_zero_point";
    private static final String BIAS = "bias";

    private final Engine engine;
    private final int channelAxis;
    private volatile @Nullable PackedObject packed;

    /**
     * A weight as integers, and what goes with it.
     *
     * @param integers the weight in plain signed 8 bit
     * @param parameters how the integers stand for numbers
     * @param bias the float bias
     * @param engine whose kernels compute with it
     */
    record Weight(
            Tensor integers,
            QuantizationParameters parameters,
            @Nullable Tensor bias,
            Engine engine) {
        /** Observes and quantizes a float weight. */
        static Weight of(String place, Tensor weight, @Nullable Tensor bias, QConfig qconfig) {
            Observer observer = qconfig.weight().make();
            observer.standsAt(place + ".weight");
            observer.call(weight.detach());
            return of(place, weight, bias, observer.quantizationParameters(), qconfig.engine());
        }

        static Weight of(
                String place,
                Tensor weight,
                @Nullable Tensor bias,
                QuantizationParameters parameters,
                Engine engine) {
            if (parameters.dtype() != QuantizedType.QINT8) {
                throw new EspalierException(
                        "The weight of '"
                                + place
                                + "' is configured as "
                                + parameters.dtype()
                                + "; the int8 kernels take torch.qint8.");
            }
            Tensor quantized = Integers.quantize(weight.detach().contiguous(), parameters);
            return new Weight(
                    quantized.int_repr(),
                    parameters,
                    bias == null ? null : bias.detach().clone(),
                    engine);
        }

        /** What a saved layer says about its weight. */
        static Weight read(Map<String, Tensor> tensors, Map<String, String> attributes) {
            int axis = Integer.parseInt(attributes.getOrDefault("channel_axis", "-1"));
            return new Weight(
                    required(tensors, WEIGHT),
                    PackedLayer.parameters(
                            Tensors.floats(required(tensors, WEIGHT_SCALE)),
                            narrow(Tensors.longs(required(tensors, WEIGHT_ZERO_POINT))),
                            axis),
                    tensors.get(BIAS),
                    Engine.of(attributes.getOrDefault("engine", "")));
        }
    }

    PackedLayer(Weight weight, Range output, @Nullable Range input) {
        super(output, input);
        this.engine = weight.engine();
        this.channelAxis = weight.parameters().channelAxis();
        addBuffer(WEIGHT, weight.integers());
        addBuffer(WEIGHT_SCALE, Tensors.of(weight.parameters().scales()));
        addBuffer(WEIGHT_ZERO_POINT, wide(weight.parameters().zeroPoints()));
        if (weight.bias() != null) {
            addBuffer(BIAS, weight.bias());
        }
    }

    /** Packs a quantized weight with the current engine. */
    abstract PackedObject pack(Tensor weight, @Nullable Tensor bias);

    /**
     * The packed weight, which is made when it is first asked for.
     *
     * @throws EspalierException if this platform does not have the layer's engine
     */
    final PackedObject packed() {
        PackedObject known = packed;
        if (known == null) {
            known =
                    engine.during(() -> {
                        try (var scope = new PointerScope()) {
                            return pack(quantizedWeight(), hasBuffer(BIAS) ? buffer(BIAS) : null);
                        }
                    });
            packed = known;
        }
        return known;
    }

    /** The weight as a quantized tensor. */
    final Tensor quantizedWeight() {
        return Integers.wrap(
                buffer(WEIGHT),
                parameters(
                        Tensors.floats(buffer(WEIGHT_SCALE)),
                        narrow(Tensors.longs(buffer(WEIGHT_ZERO_POINT))),
                        channelAxis));
    }

    final boolean hasBias() {
        return hasBuffer(BIAS);
    }

    /** The scheme as PyTorch prints a quantized weight's. */
    final Qscheme weightScheme() {
        return channelAxis < 0 ? Qscheme.PER_TENSOR_AFFINE : Qscheme.PER_CHANNEL_AFFINE;
    }

    @Override
    protected void stateLoaded() {
        super.stateLoaded();
        packed = null;
    }

    @Override
    Map<String, String> attributes() {
        Map<String, String> attributes = new TreeMap<>();
        attributes.put("engine", engine.toString());
        attributes.put("channel_axis", Integer.toString(channelAxis));
        return attributes;
    }

    private static QuantizationParameters parameters(float[] scales, int[] zeroPoints, int axis) {
        return new QuantizationParameters(
                scales,
                zeroPoints,
                axis,
                QuantizedType.QINT8,
                axis < 0 ? Qscheme.PER_TENSOR_AFFINE : Qscheme.PER_CHANNEL_AFFINE,
                QuantizedType.QINT8.min(),
                QuantizedType.QINT8.max());
    }

    private static int[] narrow(long[] zeroPoints) {
        return Arrays.stream(zeroPoints).mapToInt(Math::toIntExact).toArray();
    }

    private static Tensor wide(int[] zeroPoints) {
        return Tensors.of(Arrays.stream(zeroPoints).asLongStream().toArray(), zeroPoints.length);
    }
}
