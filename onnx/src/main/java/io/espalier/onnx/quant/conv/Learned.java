package io.espalier.onnx.quant.conv;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * What fits found of a model's values.
 *
 * @param errors of layers that were fitted, by the values that they give
 * @param codes that values had in the last fit
 */
record Learned(Map<String, Double> errors, Map<String, AffineScale> codes) {
    static final Learned NOTHING = new Learned(Map.of(), Map.of());

    private static final String ERROR = "error ";
    private static final String SCALE = "scale ";
    private static final String ZERO = "zero ";

    Learned {
        errors = Map.copyOf(errors);
        codes = Map.copyOf(codes);
    }

    /** With what another fit found. */
    Learned then(Map<String, Double> newErrors, Map<String, AffineScale> newCodes) {
        var all = new HashMap<>(errors);
        all.putAll(newErrors);
        return new Learned(all, newCodes);
    }

    /** The same as numbers with names. */
    Map<String, Double> numbers() {
        var numbers = new TreeMap<String, Double>();
        errors.forEach((value, error) -> numbers.put(ERROR + value, error));
        codes.forEach((value, scale) -> {
            numbers.put(SCALE + value, (double) scale.scale());
            numbers.put(ZERO + value, (double) scale.zeroPoint());
        });
        return numbers;
    }

    /** What numbers with names say. */
    static Learned of(Map<String, Double> numbers) {
        var errors = new HashMap<String, Double>();
        var codes = new HashMap<String, AffineScale>();
        numbers.forEach((name, number) -> {
            if (name.startsWith(ERROR)) {
                errors.put(name.substring(ERROR.length()), number);
            } else if (name.startsWith(SCALE)) {
                String value = name.substring(SCALE.length());
                int zero = numbers.getOrDefault(ZERO + value, 0.0).intValue();
                codes.put(value, new AffineScale(number.floatValue(), zero));
            }
        });
        return new Learned(errors, codes);
    }
}
