package io.espalier.slim;

import java.util.List;
import java.util.Optional;

/**
 * Units of which any may go: the same number of indices of the same dimensions each.
 *
 * @param number counts groups from 1, in the order of the model's constants
 * @param units one at least
 * @param change what removing a unit changes even if all that reads it is zero, such as a mean over
 *     channels; empty if nothing
 * @param isOuter whether the units are made of channels that units of other groups are made of too,
 *     and neighbours each, as heads are; so are the others columns
 */
public record Group(int number, List<Unit> units, Optional<String> change, boolean isOuter) {
    /** Copies the list. */
    public Group {
        units = List.copyOf(units);
    }

    /** The first dimension that its units have a part of. */
    public Place place() {
        return units.getFirst().slices().firstEntry().getKey();
    }

    /** Whether removing a unit changes nothing if all that reads it is zero. */
    public boolean isExact() {
        return change.isEmpty();
    }

    /** As it is printed: the units, and what one is made of. */
    @Override
    public String toString() {
        return "%d: %d units of %s%s"
                .formatted(
                        number,
                        units.size(),
                        units.getFirst(),
                        change.map(c -> "; changes " + c).orElse(""));
    }
}
