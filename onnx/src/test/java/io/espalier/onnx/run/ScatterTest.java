package io.espalier.onnx.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.Arrays;

@DisplayName("Times of turns")
class ScatterTest {
    @ParameterizedTest
    @CsvSource({
        "3, true",
        "3 3.1 3.2 3, true",
        "3 3.1 3.2 40, true",
        "3 20 24 21, false",
        "24 3 22 23 25, false"
    })
    @DisplayName("lie near each other if half of them are about as short as the least")
    void apart(String milliseconds, boolean small) {
        double[] times =
                Arrays.stream(milliseconds.split(" ", -1))
                        .mapToDouble(Double::parseDouble)
                        .toArray();

        assertEquals(
                small,
                Scatter.isSmall(Arrays.stream(times).mapToObj(t -> new PairedTime(t, 7)).toList()));
        assertEquals(
                small,
                Scatter.isSmall(Arrays.stream(times).mapToObj(t -> new PairedTime(7, t)).toList()));
    }
}
