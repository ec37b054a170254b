package io.espalier.quant.layer;

import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;

import java.util.List;
import java.util.Map;

/**
 * Recurrent networks, which stand as {@link ObservedRecurrent} while they are observed, and round
 * their weights there in training.
 */
record RecurrentKind(Class<? extends Module> type) implements WeightInIntegers {
    static final List<LayerKind> ALL =
            List.of(new RecurrentKind(LSTM.class), new RecurrentKind(GRU.class), new Observed());

    @Override
    public Module observed(PlacedLayer place) {
        return new ObservedRecurrent(
                place.path(), (Recurrent) place.layer(), place.activation(), place.packing());
    }

    @Override
    public boolean hasDynamicForm() {
        return true;
    }

    @Override
    public Module dynamic(PlacedLayer place) {
        var made = DynamicRecurrent.of(place.path(), (Recurrent) place.layer(), place.packing());
        made.packed();
        return made;
    }

    @Override
    public Module converted(PlacedLayer place) {
        place.output(); // which says that it was not prepared
        return place.layer();
    }

    @Override
    public Map<String, Reader> forms() {
        return Map.of(
                "QuantizedRecurrent",
                (old, tensors, attributes) -> QuantizedRecurrent.read(tensors, attributes),
                "DynamicRecurrent",
                (old, tensors, attributes) -> DynamicRecurrent.read(tensors, attributes));
    }

    /** A network that is observed. */
    private record Observed() implements LayerKind {
        @Override
        public Class<?> type() {
            return ObservedRecurrent.class;
        }

        @Override
        public boolean isQuantized() {
            return true;
        }

        @Override
        public boolean hasWeight() {
            return true;
        }

        @Override
        public boolean quantizesInput() {
            return true;
        }

        @Override
        public Module converted(PlacedLayer place) {
            return QuantizedRecurrent.of(
                    place.path(),
                    (ObservedRecurrent) place.layer(),
                    place.packing(),
                    place.output(),
                    place.input());
        }
    }
}
