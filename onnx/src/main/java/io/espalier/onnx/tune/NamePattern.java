package io.espalier.onnx.tune;

import java.util.regex.Pattern;

/** A name in which {@code *} stands for anything. */
record NamePattern(String text, Pattern pattern) {
    static NamePattern of(String text) {
        var regex = new StringBuilder();
        for (String part : text.split("\\*", -1)) {
            regex.append(regex.isEmpty() ? "" : ".*");
            regex.append(Pattern.quote(part));
        }
        return new NamePattern(text, Pattern.compile(regex.toString()));
    }

    /** Whether it stands for a layer, by its node's name or its weight's. */
    boolean matches(PrunableLayer layer) {
        return pattern.matcher(layer.name()).matches()
                || pattern.matcher(layer.weight().name()).matches();
    }
}
