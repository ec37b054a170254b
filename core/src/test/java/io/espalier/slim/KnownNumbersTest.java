package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Arrays;

@DisplayName("Channels that are one number everywhere")
class KnownNumbersTest {
    private static final double NAN = Double.NaN;

    @Test
    @DisplayName("are followed through shapes that join and divide dimensions")
    void reshaped() {
        long[] rows = {5, 6};
        var heads = new KnownNumbers(1, new double[] {0, 0, 0, 1, NAN, 2});
        assertEquals("1 [0.0, NaN]", of(heads.reshaped(rows, new long[] {5, 2, 3})));
        var inside = new KnownNumbers(1, new double[] {NAN, 0, 3, NAN, 0, 4});
        assertEquals("2 [NaN, 0.0, NaN]", of(inside.reshaped(rows, new long[] {5, 2, 3})));
        assertEquals("3 [NaN, 0.0, NaN]", of(inside.reshaped(rows, new long[] {5, 1, 2, 3})));
        var places = new KnownNumbers(2, new double[] {NAN, 0, 7});
        assertEquals(
                "1 [NaN, 0.0, 7.0, NaN, 0.0, 7.0]",
                of(places.reshaped(new long[] {5, 2, 3}, new long[] {5, 6})));
        assertEquals(
                "1 [NaN, NaN, 0.0, 0.0, 7.0, 7.0]",
                of(places.along(1).reshaped(new long[] {5, 3, 2}, new long[] {5, 6})));
        assertNull(places.reshaped(new long[] {5, 2, 3}, new long[] {3, 10}));
        assertNull(heads.reshaped(rows, new long[] {5, 4, 1, 2}));
    }

    private static String of(@Nullable KnownNumbers numbers) {
        return numbers == null
                ? "none"
                : numbers.dimension() + " " + Arrays.toString(numbers.numbers());
    }
}
