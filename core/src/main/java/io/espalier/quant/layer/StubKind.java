package io.espalier.quant.layer;

import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Module;
import io.espalier.quant.observer.ObserverFactory;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a model's author puts into a model for the sake of quantization alone. */
enum StubKind implements LayerKind {
    /** Integers begin. */
    QUANTIZE(Stub.class) {
        @Override
        public Optional<ObserverFactory> observer(ObserverFactory activation, boolean training) {
            return Optional.of(activation);
        }

        @Override
        public Module converted(PlacedLayer place) {
            return new Quantize(place.output());
        }

        @Override
        public Map<String, Reader> forms() {
            return Map.of(
                    "Quantize",
                    (old, tensors, attributes) -> new Quantize(QuantizedLayer.output(tensors)));
        }
    },
    /** Integers end. */
    DEQUANTIZE(Stub.class) {
        @Override
        public boolean givesIntegers() {
            return false;
        }

        @Override
        public Module converted(PlacedLayer place) {
            return new DeQuantize();
        }

        @Override
        public Map<String, Reader> forms() {
            return Map.of("DeQuantize", (old, tensors, attributes) -> new DeQuantize());
        }
    },
    /** Arithmetic between layers, which holds its observer itself. */
    ARITHMETIC(FloatFunctional.class) {
        @Override
        public Optional<ObserverFactory> observer(ObserverFactory activation, boolean training) {
            return Optional.of(activation);
        }

        @Override
        public Module converted(PlacedLayer place) {
            return new QFunctional(place.outputIfSeen());
        }

        @Override
        public Optional<Module> amongIntegers() {
            return Optional.of(new QFunctional.InFloat());
        }

        @Override
        public Map<String, Reader> forms() {
            return Map.of("QFunctional", (old, tensors, attributes) -> QFunctional.read(tensors));
        }
    };

    static final List<LayerKind> ALL = List.of(values());

    private final Class<?> type;

    StubKind(Class<?> type) {
        this.type = type;
    }

    static LayerKind of(Stub stub) {
        return stub.quantizes() ? QUANTIZE : DEQUANTIZE;
    }

    @Override
    public Class<?> type() {
        return type;
    }

    @Override
    public boolean isQuantized() {
        return true;
    }
}
