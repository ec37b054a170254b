package io.espalier.slim;

import java.util.List;
import java.util.Optional;

/**
 * A branch {@code f} of a sum {@code x + f(x)} in a Java model.
 *
 * @param layers the paths of the modules that multiply in it
 * @param stays why it can't be left out, if it can't
 */
public record ResidualBlock(List<String> layers, Optional<String> stays) {
    /** Copies the list. */
    public ResidualBlock {
        layers = List.copyOf(layers);
    }

    @Override
    public String toString() {
        return String.join(", ", layers) + stays.map(": stays, since %s"::formatted).orElse("");
    }
}
