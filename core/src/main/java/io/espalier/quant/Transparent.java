package io.espalier.quant;

import io.espalier.nn.AdaptiveAvgPool1d;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.AvgPool1d;
import io.espalier.nn.AvgPool2d;
import io.espalier.nn.Dropout;
import io.espalier.nn.Flatten;
import io.espalier.nn.Hardsigmoid;
import io.espalier.nn.Identity;
import io.espalier.nn.MaxPool1d;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Tanh;
import io.espalier.nn.Upsample;
import io.espalier.quant.layer.QuantizedDropout;
import io.espalier.quant.layer.QuantizedReLU6;

import java.util.Set;

/**
 * The layers whose kernels work on quantized tensors as they are: they keep the scale, or have one
 * that follows from what they compute.
 */
final class Transparent {
    private static final Set<Class<? extends Module>> LAYERS =
            Set.of(
                    ReLU.class,
                    ReLU6.class,
                    Tanh.class,
                    Hardsigmoid.class,
                    Identity.class,
                    Flatten.class,
                    Dropout.class,
                    QuantizedDropout.class,
                    QuantizedReLU6.class,
                    MaxPool1d.class,
                    MaxPool2d.class,
                    AvgPool1d.class,
                    AvgPool2d.class,
                    AdaptiveAvgPool1d.class,
                    AdaptiveAvgPool2d.class,
                    Upsample.class);

    private Transparent() {}

    static boolean is(Module module) {
        return LAYERS.contains(module.getClass())
                && !(module instanceof Upsample upsample
                        && upsample.mode() == Upsample.Mode.BICUBIC);
    }
}
