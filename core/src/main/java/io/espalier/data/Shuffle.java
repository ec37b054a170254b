package io.espalier.data;

import java.util.Random;

/** Random orders that are the same for the same seed on every machine and Java version. */
final class Shuffle {
    private Shuffle() {}

    /**
     * The numbers 0 to size − 1 in an order given by the seed: Fisher and Yates' shuffle, drawn
     * from {@link Random}, whose algorithm is part of Java's specification.
     */
    static int[] permutation(int size, long seed) {
        int[] order = new int[size];
        Random random = new Random(seed);
        for (int i = 0; i < size; i++) {
            int j = random.nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }

    /**
     * A seed for one epoch; neighbouring epochs and seeds give unrelated ones (the finalizer of
     * SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
     */
    static long seed(long seed, int epoch) {
        long z = seed + (epoch + 1) * 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
