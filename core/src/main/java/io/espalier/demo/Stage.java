package io.espalier.demo;

import java.nio.file.Path;

/**
 * A model on its way from float to int8, as it was measured.
 *
 * @param name one of {@link CompressDigits#STAGES}
 * @param file where it is saved
 * @param accuracy the share of the test digits it gets right, 0…1
 * @param bytes the file's size
 * @param macs the multiplications, each with an addition, that a digit takes, those by zeros too
 * @param sparsity the share of its parameters that are zero, 0…1
 * @param latencyMillis what a batch of {@value CompressDigits#TIMED_BATCH} digits takes on one
 *     thread
 */
public record Stage(
        String name,
        Path file,
        double accuracy,
        long bytes,
        long macs,
        double sparsity,
        double latencyMillis) {}
