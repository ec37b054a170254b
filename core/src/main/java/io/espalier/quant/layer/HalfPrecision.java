package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.List;

/**
 * Keeps the parameters of a layer in 16-bit floats and widens them to 32 bit when they are used:
 * half the memory and half the file for layers that have no 16-bit kernel.
 */
public final class HalfPrecision {
    /** Widens one parameter. */
    private record Widen(String name) implements Parametrization {
        @Override
        public Tensor apply(Module owner, Tensor value) {
            return value.to(ScalarType.Float);
        }

        @Override
        public int order() {
            return -1;
        }
    }

    private HalfPrecision() {}

    /**
     * Values as 16-bit floats.
     *
     * @param place where they stand, for the error
     * @throws EspalierException if one is too large for them, NaN or infinite
     */
    static Tensor half(String place, Tensor values) {
        Tensor half = values.detach().to(ScalarType.Half);
        if (!half.isfinite().all().item_bool()) {
            boolean finite = values.isfinite().all().item_bool();
            throw new EspalierException(
                    "'"
                            + place
                            + (finite
                                    ? "' holds values beyond 65504, the largest 16-bit float; leave"
                                            + " the layer in float with qconfig(null)."
                                    : "' holds values that are NaN or infinite; mend the weights"
                                            + " first."));
        }
        return half;
    }

    /**
     * A layer like this one with its parameters in 16 bit.
     *
     * @param place where it stands, for the error
     * @throws EspalierException if a parameter is too large for them, NaN or infinite
     */
    public static Module of(String place, Module layer) {
        layer.ownParameters()
                .forEach((name, parameter) -> {
                    try (var scope = new PointerScope()) {
                        half(place + "." + name, parameter);
                    }
                });
        Module narrow = layer.copy();
        narrow(narrow);
        return narrow;
    }

    /** Makes the parameters of this very module 16-bit floats. */
    public static void narrow(Module layer) {
        if (isNarrow(layer)) {
            return;
        }
        for (String stored : List.copyOf(layer.ownParameters().keySet())) {
            Tensor parameter = layer.parameter(stored);
            parameter.set_requires_grad(false);
            parameter.set_data(parameter.detach().to(ScalarType.Half));
            String name = publicName(layer, stored);
            layer.parametrize(name, new Widen(name));
        }
    }

    /** The name that a parameter goes by, whatever it is stored as. */
    static String publicName(Module layer, String stored) {
        return layer.parametrizedNames().stream()
                .filter(name -> layer.storedName(name).equals(stored))
                .findFirst()
                .orElse(stored);
    }

    /** Whether the module's parameters are 16-bit floats that are widened. */
    public static boolean isNarrow(Module layer) {
        return layer.parametrizedNames().stream()
                .flatMap(name -> layer.parametrizations(name).stream())
                .anyMatch(Widen.class::isInstance);
    }
}
