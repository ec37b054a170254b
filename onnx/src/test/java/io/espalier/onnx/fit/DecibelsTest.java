package io.espalier.onnx.fit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class DecibelsTest {
    @Test
    @DisplayName("An error of a hundredth is 40 dB below, said by its root or by its square")
    void hundredth() {
        assertEquals("error -40.0 dB", Decibels.ofRoot(0.01));
        assertEquals("error -40.0 dB", Decibels.ofSquares(0.0001));
        assertEquals("no error", Decibels.ofRoot(0));
    }
}
