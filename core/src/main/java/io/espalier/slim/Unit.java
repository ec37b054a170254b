package io.espalier.slim;

import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Collectors;

/** What can only go as a whole: a channel with all that computes and reads it, or a head. */
public final class Unit {
    private static final int PRINTED = 6;

    private final int atom;
    private final SequencedMap<Place, int[]> slices;

    Unit(int atom, SequencedMap<Place, int[]> slices) {
        this.atom = atom;
        this.slices = slices;
    }

    int atom() {
        return atom;
    }

    /** The indices along dimensions of constants that go with it, ascending; not to be changed. */
    public SequencedMap<Place, int[]> slices() {
        return slices;
    }

    /** As it is printed: how many indices of the first dimensions. */
    @Override
    public String toString() {
        String first =
                slices.entrySet().stream()
                        .limit(PRINTED)
                        .map(Unit::text)
                        .collect(Collectors.joining(", "));
        int more = slices.size() - PRINTED;
        return more > 0 ? first + " and " + more + " more" : first;
    }

    private static String text(Map.Entry<Place, int[]> slice) {
        int count = slice.getValue().length;
        return (count == 1 ? "" : count + " of ") + slice.getKey();
    }
}
