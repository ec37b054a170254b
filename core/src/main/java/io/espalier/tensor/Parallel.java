package io.espalier.tensor;

import java.util.List;
import java.util.stream.IntStream;

/** Splits a loop over a tensor's elements among as many threads as one operation may use. */
@Internal
public final class Parallel {
    private Parallel() {}

    /** What is done with the elements {@code from} (inclusive) to {@code to} (exclusive). */
    @FunctionalInterface
    public interface Part<R> {
        /** The result for this part of the range. */
        R over(long from, long to);
    }

    /**
     * Cuts {@code 0 … count} into consecutive parts, runs each, and returns the results in order.
     *
     * @param grain how many elements are worth a thread of their own
     */
    public static <R> List<R> split(long count, long grain, Part<R> part) {
        int parts = Math.clamp(count / grain, 1, Libtorch.threads());
        if (parts == 1) {
            return List.of(part.over(0, count));
        }
        return IntStream.range(0, parts)
                .parallel()
                .mapToObj(i -> part.over(count * i / parts, count * (i + 1) / parts))
                .toList();
    }
}
