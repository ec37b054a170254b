package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.List;

/**
 * A part of a model that may go as a whole, with all groups within it.
 *
 * @param groups the places among all groups of those that are within it
 * @param error what results lose without it
 */
@Internal
public record RemovableBlock(List<Integer> groups, double error) {
    /** Copies the list. */
    public RemovableBlock {
        groups = List.copyOf(groups);
    }
}
