package io.espalier.conformance;

import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/** Observers as the cases write them: a class, and its arguments by name. */
final class Observing {
    private Observing() {}

    static ObserverSettings observer(String type, Values arguments) {
        ObserverSettings settings =
                switch (type) {
                    case "MinMaxObserver" -> MinMaxObserver.with();
                    case "MovingAverageMinMaxObserver" ->
                            MovingAverageMinMaxObserver.with(arguments.real("averaging_constant"));
                    case "PerChannelMinMaxObserver" -> PerChannelMinMaxObserver.with();
                    case "MovingAveragePerChannelMinMaxObserver" ->
                            MovingAveragePerChannelMinMaxObserver.with(
                                    arguments.real("averaging_constant"));
                    case "HistogramObserver" ->
                            HistogramObserver.with(arguments.integer("bins", 1, 1 << 20));
                    default -> throw Group.unknown("observer", type);
                };
        settings =
                settings.dtype(dtype(arguments))
                        .qscheme(constant(Qscheme.values(), arguments.text("qscheme")))
                        .reduceRange(arguments.flag("reduce_range"));
        if (arguments.has("quant_min") || arguments.has("quant_max")) {
            settings =
                    settings.quantRange(
                            bound(arguments, "quant_min"), bound(arguments, "quant_max"));
        }
        return arguments.has("ch_axis")
                ? settings.channelAxis(bound(arguments, "ch_axis"))
                : settings;
    }

    /** One scale in a case's arguments, or one per channel in its inputs. */
    static QuantizationParameters parameters(
            Case reference, QuantizedType dtype, int quantMin, int quantMax) {
        Values params = reference.params();
        if (reference.op().equals("per_tensor")) {
            float scale = (float) params.real("scale");
            int zeroPoint = bound(params, "zero_point");
            return QuantizationParameters.perTensor(scale, zeroPoint, dtype, quantMin, quantMax);
        }
        return new QuantizationParameters(
                Tensors.floats(reference.inputs().tensor("scale")),
                integers(reference.inputs().tensor("zero_point")),
                bound(params, "axis"),
                dtype,
                Qscheme.PER_CHANNEL_AFFINE,
                quantMin,
                quantMax);
    }

    private static int[] integers(Tensor tensor) {
        return Arrays.stream(Tensors.longs(tensor)).mapToInt(Math::toIntExact).toArray();
    }

    static QuantizedType dtype(Values arguments) {
        return constant(QuantizedType.values(), arguments.text("dtype"));
    }

    static int bound(Values arguments, String name) {
        return arguments.integer(name, Integer.MIN_VALUE, Integer.MAX_VALUE);
    }

    private static <E extends Enum<E>> E constant(E[] constants, String name) {
        return Arrays.stream(constants)
                .filter(constant -> constant.name().equalsIgnoreCase(name))
                .findFirst()
                .orElseThrow(() -> Group.unknown("constant", name));
    }
}
