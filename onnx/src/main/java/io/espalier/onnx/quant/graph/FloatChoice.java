package io.espalier.onnx.quant.graph;

import io.espalier.quant.graph.RoundedValue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.ToDoubleFunction;

/**
 * Which layers go back to floats for a limit on what results lose. A value is not rounded any more
 * once all layers that it is rounded for are in floats; so these go together, those first whose
 * values lose most for the time that their integers save.
 */
public final class FloatChoice {
    private final List<RoundedValue> rounded;
    private final Map<String, Double> losses;
    private final ToDoubleFunction<String> saved;
    private final Set<String> layers = new LinkedHashSet<>();

    /**
     * A choice among the layers of a graph.
     *
     * @param losses what results lose by a value, by its name
     * @param saved the time that a layer saves in integers, by its path; above 0
     */
    public FloatChoice(
            List<RoundedValue> rounded,
            Map<String, Double> losses,
            ToDoubleFunction<String> saved) {
        this.rounded = List.copyOf(rounded);
        this.losses = Map.copyOf(losses);
        this.saved = saved;
        rounded.forEach(value -> layers.addAll(value.layers()));
    }

    /** What results lose, as an estimate, while some layers are in floats. */
    public double lost(Set<String> inFloat) {
        return rounded.stream()
                .filter(value -> !inFloat.containsAll(value.layers()))
                .mapToDouble(this::loss)
                .sum();
    }

    private double loss(RoundedValue value) {
        return losses.getOrDefault(value.value().name(), 0.0);
    }

    /** The layers to be in floats so that no more is lost than allowed; one always stays. */
    public Set<String> inFloat(double allowed) {
        List<RoundedValue> chosen = new ArrayList<>();
        while (lost(layers(chosen)) > allowed) {
            Set<String> before = layers(chosen);
            Optional<RoundedValue> next =
                    rounded.stream()
                            .filter(value -> !before.containsAll(value.layers()))
                            .filter(value -> !with(before, value).containsAll(layers))
                            .max(Comparator.comparingDouble(value -> worth(before, value)));
            if (next.isEmpty()) {
                return before;
            }
            chosen.add(next.get());
        }
        return withoutNeedless(chosen, allowed);
    }

    /** What was chosen early for little is not needed where something large came after it. */
    private Set<String> withoutNeedless(List<RoundedValue> chosen, double allowed) {
        List<RoundedValue> kept = new ArrayList<>(chosen);
        chosen.stream()
                .sorted(Comparator.comparingDouble(this::loss))
                .forEach(value -> {
                    kept.remove(value);
                    if (lost(layers(kept)) > allowed) {
                        kept.add(value);
                    }
                });
        return layers(kept);
    }

    private static Set<String> layers(List<RoundedValue> values) {
        Set<String> all = new LinkedHashSet<>();
        values.forEach(value -> all.addAll(value.layers()));
        return all;
    }

    /** What less is lost for the time that it takes. */
    private double worth(Set<String> chosen, RoundedValue value) {
        Set<String> then = with(chosen, value);
        double time =
                value.layers().stream()
                        .filter(layer -> !chosen.contains(layer))
                        .mapToDouble(saved)
                        .sum();
        return (lost(chosen) - lost(then)) / time;
    }

    private static Set<String> with(Set<String> chosen, RoundedValue value) {
        Set<String> then = new LinkedHashSet<>(chosen);
        then.addAll(value.layers());
        return then;
    }
}
