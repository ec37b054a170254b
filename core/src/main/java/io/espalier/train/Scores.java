package io.espalier.train;

import io.espalier.tensor.EspalierException;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;

/**
 * What an evaluation found.
 *
 * @param step after how many steps of training it was
 * @param values each metric's value by its name, in the order they were asked for
 */
public record Scores(long step, SequencedMap<String, Double> values) {
    /** Scores that don't change with the map they were made from. */
    public Scores {
        values = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(values));
    }

    /**
     * The value of a metric.
     *
     * @throws EspalierException if it was not measured
     */
    public double get(String metric) {
        Double value = values.get(metric);
        if (value == null) {
            throw new EspalierException(
                    "No metric '"
                            + metric
                            + "' was measured; these were: "
                            + String.join(", ", values.keySet())
                            + ".");
        }
        return value;
    }

    /** The value of the first metric, which decides what counts as better. */
    public double first() {
        return values.firstEntry().getValue();
    }

    @Override
    public String toString() {
        var words = new StringBuilder("step " + step);
        for (Map.Entry<String, Double> entry : values.entrySet()) {
            words.append(", ")
                    .append(entry.getKey())
                    .append(String.format(Locale.ROOT, " %.4f", entry.getValue()));
        }
        return words.toString();
    }
}
