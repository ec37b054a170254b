package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.OptionalDouble;

/**
 * How far results are from others: 1 less the cosine, as a mean over rows, or the share of integers
 * that are others.
 */
@Internal
public final class RowDistance {
    /** Rows shorter than this are looked at together, example by example. */
    private static final int SHORTEST_ROW = 16;

    private double sum;
    private long count;

    /**
     * How long the rows of a result are: its last dimension, or all of an example where that is
     * short.
     */
    public static int row(long... shape) {
        if (shape.length == 0) {
            return 1;
        }
        long last = shape[shape.length - 1];
        if (last >= SHORTEST_ROW) {
            return Math.toIntExact(last);
        }
        long example = 1;
        for (int d = 1; d < shape.length; d++) {
            example *= shape[d];
        }
        return Math.toIntExact(Math.max(example, 1));
    }

    /** Adds rows of so many numbers; results of other sizes are infinitely far. */
    public void add(float[] expected, float[] found, int row) {
        if (expected.length != found.length) {
            sum = Double.POSITIVE_INFINITY;
            return;
        }
        for (int at = 0; at + row <= expected.length; at += row) {
            OptionalDouble distance = of(expected, found, at, row);
            sum += distance.orElse(0);
            count += distance.isPresent() ? 1 : 0;
        }
    }

    /** Adds integers, each of which is right or wrong. */
    public void addIntegers(float[] expected, float[] found) {
        if (expected.length != found.length) {
            sum = Double.POSITIVE_INFINITY;
            return;
        }
        for (int at = 0; at < expected.length; at++) {
            sum += expected[at] == found[at] ? 0 : 1;
        }
        count += expected.length;
    }

    /** As a mean over what was added. */
    public double mean() {
        return count == 0 ? sum : sum / count;
    }

    /**
     * 1 less the cosine; of single numbers, half the square of their relative difference. Numbers
     * that are not finite have to be the same ones; of a row of such numbers alone nothing more is
     * known.
     */
    private static OptionalDouble of(float[] a, float[] b, int at, int row) {
        double product = 0;
        double squaresOfA = 0;
        double squaresOfB = 0;
        double difference = 0;
        int finite = 0;
        for (int i = at; i < at + row; i++) {
            if (!Float.isFinite(a[i]) || !Float.isFinite(b[i])) {
                if (Float.compare(a[i], b[i]) != 0) {
                    return OptionalDouble.of(1);
                }
                continue;
            }
            finite++;
            product += (double) a[i] * b[i];
            squaresOfA += (double) a[i] * a[i];
            squaresOfB += (double) b[i] * b[i];
            difference += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        }
        if (finite == 0) {
            return OptionalDouble.empty();
        }
        if (difference == 0) {
            return OptionalDouble.of(0);
        }
        if (row == 1) {
            return OptionalDouble.of(Math.min(1, difference / Math.max(squaresOfA, 1e-12) / 2));
        }
        double norms = Math.sqrt(squaresOfA) * Math.sqrt(squaresOfB);
        return OptionalDouble.of(norms == 0 ? 1 : Math.max(0, 1 - product / norms));
    }
}
