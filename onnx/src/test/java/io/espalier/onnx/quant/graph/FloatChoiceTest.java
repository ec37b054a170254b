package io.espalier.onnx.quant.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.graph.Value;
import io.espalier.quant.graph.RoundedValue;
import io.espalier.quant.layer.QuantizedLayer.Range;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.Set;

class FloatChoiceTest {
    private static RoundedValue value(String name, String... layers) {
        return new RoundedValue(new Value(name), new Range(1, 0), Set.of(layers));
    }

    private static FloatChoice choice(Map<String, Double> saved) {
        return new FloatChoice(
                List.of(value("x", "first"), value("y", "second", "third"), value("z", "fourth")),
                Map.of("x", 1.0, "y", 6.0, "z", 2.0),
                layer -> saved.getOrDefault(layer, 1.0));
    }

    @Test
    @DisplayName("takes all layers that read one value, since it is rounded until the last is gone")
    void together() {
        FloatChoice choice = choice(Map.of());

        assertEquals(9, choice.lost(Set.of()));
        assertEquals(9, choice.lost(Set.of("second")));
        assertEquals(3, choice.lost(Set.of("second", "third")));
        assertEquals(Set.of("second", "third"), choice.inFloat(3));
    }

    @Test
    @DisplayName("takes those first whose values lose most for the time that integers save")
    void worth() {
        assertEquals(Set.of("fourth"), choice(Map.of("third", 9.0)).inFloat(8));
        assertEquals(Set.of("first"), choice(Map.of("first", 0.1)).inFloat(8));
        assertEquals(Set.of(), choice(Map.of()).inFloat(9));
    }

    @Test
    @DisplayName("takes none that is not needed beside what was taken after it")
    void needed() {
        FloatChoice choice = choice(Map.of("first", 0.1));

        assertEquals(Set.of("first"), choice.inFloat(8));
        assertEquals(Set.of("second", "third"), choice.inFloat(3));
    }

    @Test
    @DisplayName("leaves the last layer in integers, however little is allowed")
    void last() {
        assertEquals(Set.of("second", "third", "fourth"), choice(Map.of()).inFloat(0));
    }
}
