package io.espalier.graph;

/**
 * A tensor of a {@link Graph}: an input, or what one node computes.
 *
 * @param name unique in its graph
 */
public record Value(String name) {
    @Override
    public String toString() {
        return name;
    }
}
