package io.espalier.nn;

import io.espalier.tensor.Internal;

import java.util.regex.Pattern;

/**
 * Names of layers, tensors, nodes or values, in which {@code *} stands for any text.
 *
 * @param text as it was given
 */
@Internal
public record NamePattern(String text, Pattern pattern) {
    /** The pattern of a text. */
    public static NamePattern of(String text) {
        var regex = new StringBuilder();
        for (String part : text.split("\\*", -1)) {
            regex.append(regex.isEmpty() ? "" : ".*");
            regex.append(Pattern.quote(part));
        }
        return new NamePattern(text, Pattern.compile(regex.toString(), Pattern.DOTALL));
    }

    /** Whether it stands for a name. */
    public boolean matches(String name) {
        return pattern.matcher(name).matches();
    }
}
