package io.espalier.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.List;

class ParallelTest {
    @ParameterizedTest
    @DisplayName("parts follow each other without gap or overlap, as many as are worth a thread")
    @CsvSource({"0, 10, 1", "9, 10, 1", "20, 10, 2", "1001, 10, 2", "7, 1, 2"})
    void parts(long count, long grain, int parts) {
        int before = Libtorch.threads();
        Libtorch.threads(2);
        try {
            List<long[]> ranges = Parallel.split(count, grain, (from, to) -> new long[] {from, to});

            assertEquals(parts, ranges.size());
            long next = 0;
            for (long[] range : ranges) {
                assertEquals(next, range[0]);
                next = range[1];
            }
            assertEquals(count, next);
        } finally {
            Libtorch.threads(before);
        }
    }

    @Test
    @DisplayName("on one thread there is one part")
    void oneThread() {
        int before = Libtorch.threads();
        Libtorch.threads(1);
        try {
            assertEquals(1, Parallel.split(1_000_000, 1, (from, to) -> to - from).size());
        } finally {
            Libtorch.threads(before);
        }
    }
}
