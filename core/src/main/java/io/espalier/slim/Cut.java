package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.Arrays;
import java.util.Set;
import java.util.stream.IntStream;

/** Which channels go, and what is left of each dimension. */
@Internal
public final class Cut {
    private final Identities identities;
    private final Set<Integer> removed;

    Cut(Identities identities, Set<Integer> removed) {
        this.identities = identities;
        this.removed = removed;
    }

    /** Whether nothing goes. */
    public boolean isEmpty() {
        return removed.isEmpty();
    }

    /** Whether an index of a dimension is left. */
    public boolean isKept(Axis axis, long index) {
        return isKept(axis.at(index));
    }

    private boolean isKept(int identity) {
        return Arrays.stream(identities.atoms(identity)).noneMatch(removed::contains);
    }

    /** Whether something of a dimension goes. */
    public boolean cuts(Axis axis) {
        return IntStream.range(0, axis.length()).anyMatch(k -> !isKept(axis.id(k)));
    }

    /** What is left of a dimension's extent. */
    public long extent(Axis axis, long extent) {
        if (axis.isPlain()) {
            return extent;
        }
        long kept = IntStream.range(0, axis.length()).filter(k -> isKept(axis.id(k))).count();
        return extent / axis.period() * kept * axis.stride();
    }

    /** The indices of a dimension that are left, ascending. */
    public int[] kept(Axis axis, int extent) {
        return IntStream.range(0, extent).filter(i -> isKept(axis, i)).toArray();
    }
}
