package io.espalier.bench;

import java.util.Arrays;

/**
 * The times of two ways to do one thing, taken in turn so that whatever else the machine does
 * disturbs both alike.
 *
 * @param ours the shortest and the median time of the library, in milliseconds
 * @param theirs those of the other
 */
record Paired(Times ours, Times theirs) {
    /**
     * @param best the shortest
     * @param median the one in the middle
     */
    record Times(double best, double median) {
        private static Times of(double[] times) {
            double[] sorted = times.clone();
            Arrays.sort(sorted);
            return new Times(sorted[0], sorted[sorted.length / 2]);
        }
    }

    /** Runs both {@code rounds} times, after as many again (at most five) that are not counted. */
    static Paired of(int rounds, Runnable ours, Runnable theirs) {
        for (int i = 0; i < Math.min(rounds, 5); i++) {
            ours.run();
            theirs.run();
        }
        double[] first = new double[rounds];
        double[] second = new double[rounds];
        for (int i = 0; i < rounds; i++) {
            // Who goes first changes, so that neither always finds the other's data in the cache.
            if (i % 2 == 0) {
                first[i] = milliseconds(ours);
                second[i] = milliseconds(theirs);
            } else {
                second[i] = milliseconds(theirs);
                first[i] = milliseconds(ours);
            }
        }
        return new Paired(Times.of(first), Times.of(second));
    }

    private static double milliseconds(Runnable work) {
        long start = System.nanoTime();
        work.run();
        return (System.nanoTime() - start) / 1e6;
    }

    /** Our shortest time as a share of theirs. */
    double ratio() {
        return ours.best() / theirs.best();
    }
}
