package io.espalier.quant.layer;

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
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Tanh;
import io.espalier.nn.Upsample;
import io.espalier.quant.observer.FixedQParamsObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.qat.FixedQParamsFakeQuantize;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Layers whose kernels work on integers as they are: these keep their scale, or have one that
 * follows from what is computed. Most stay themselves.
 */
class PassingKind implements LayerKind {
    static final List<LayerKind> ALL =
            List.of(
                    new PassingKind(ReLU.class),
                    new PassingKind(Identity.class),
                    new PassingKind(Flatten.class),
                    new PassingKind(MaxPool1d.class),
                    new PassingKind(MaxPool2d.class),
                    new PassingKind(AvgPool1d.class),
                    new PassingKind(AvgPool2d.class),
                    new PassingKind(AdaptiveAvgPool1d.class),
                    new PassingKind(AdaptiveAvgPool2d.class),
                    new Upsampling(),
                    new Clipping(),
                    new Dropping(),
                    new Bounded(Sigmoid.class, Sigmoid::new, 1.0 / 256, 0),
                    new Bounded(Hardsigmoid.class, Hardsigmoid::new, 1.0 / 256, 0),
                    new Bounded(Tanh.class, Tanh::new, 2.0 / 256, 128));

    private final Class<? extends Module> type;

    private PassingKind(Class<? extends Module> type) {
        this.type = type;
    }

    @Override
    public final Class<?> type() {
        return type;
    }

    @Override
    public boolean passesIntegers(Module layer) {
        return true;
    }

    /** Chooses among values, or weighs them, but for one mode that has no kernel. */
    private static final class Upsampling extends PassingKind {
        Upsampling() {
            super(Upsample.class);
        }

        @Override
        public boolean passesIntegers(Module layer) {
            return ((Upsample) layer).mode() != Upsample.Mode.BICUBIC;
        }
    }

    /** Is observed as in PyTorch, which then keeps the scale of what came in. */
    private static final class Clipping extends PassingKind {
        Clipping() {
            super(ReLU6.class);
        }

        @Override
        public Optional<ObserverFactory> observer(ObserverFactory activation, boolean training) {
            return Optional.of(activation);
        }

        @Override
        public Module converted(PlacedLayer place) {
            return new QuantizedReLU6();
        }

        @Override
        public Map<String, Reader> forms() {
            return Map.of("QuantizedReLU6", (old, tensors, attributes) -> new QuantizedReLU6());
        }
    }

    private static final class Dropping extends PassingKind {
        Dropping() {
            super(Dropout.class);
        }

        @Override
        public Module converted(PlacedLayer place) {
            return new QuantizedDropout(((Dropout) place.layer()).p());
        }

        @Override
        public Map<String, Reader> forms() {
            return Map.of(
                    "QuantizedDropout",
                    (old, tensors, attributes) ->
                            new QuantizedDropout(Attributes.share(attributes, "p")));
        }
    }

    /** Gives values between bounds that are known, which is the range that its kernel gives. */
    private static final class Bounded extends PassingKind {
        private final Supplier<Module> make;
        private final double scale;
        private final int zeroPoint;

        Bounded(Class<? extends Module> type, Supplier<Module> make, double scale, int zeroPoint) {
            super(type);
            this.make = make;
            this.scale = scale;
            this.zeroPoint = zeroPoint;
        }

        @Override
        public Optional<ObserverFactory> observer(ObserverFactory activation, boolean training) {
            return training
                    ? Optional.of(
                            FixedQParamsFakeQuantize.with(
                                    FixedQParamsObserver.with(scale, zeroPoint)))
                    : Optional.empty();
        }

        /** The layer without the rounding of training. */
        @Override
        public Module converted(PlacedLayer place) {
            return place.observer(Observer.OUTPUT).isPresent() ? make.get() : place.layer();
        }
    }
}
