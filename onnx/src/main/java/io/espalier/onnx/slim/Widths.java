package io.espalier.onnx.slim;

import io.espalier.slim.Group;

import java.util.stream.IntStream;

/** How many units of a group may stay: of wide groups multiples of what kernels take at once. */
final class Widths {
    /** Widths from here on stay multiples of what kernels take at once. */
    private static final int WIDE = 128;

    private static final int NARROW = 32;
    private static final int LANES = 16;

    private Widths() {}

    /** The width of a group of which this share is to stay. */
    static int of(Group group, double share) {
        int count = group.units().size();
        int step = step(group);
        // Halves go down, so that no more stays than was asked for.
        long steps = (long) Math.ceil(share * count / step - 0.5);
        return Math.clamp(steps * step, Math.min(step, count), count);
    }

    /** All widths that a group may have, ascending. */
    static int[] all(Group group) {
        int step = step(group);
        return IntStream.rangeClosed(1, group.units().size() / step).map(i -> i * step).toArray();
    }

    private static int step(Group group) {
        int count = group.units().size();
        boolean single =
                group.units().getFirst().slices().values().stream().allMatch(i -> i.length == 1);
        int lanes = count >= WIDE ? LANES : count >= NARROW ? LANES / 2 : 1;
        return single && count % lanes == 0 ? lanes : 1;
    }
}
