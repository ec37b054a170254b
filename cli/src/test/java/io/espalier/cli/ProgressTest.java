package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.time.Duration;

class ProgressTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private long now;

    private Progress lines(long total) {
        return new Progress.Lines(
                "Training", total, new PrintStream(bytes, true, UTF_8), () -> now);
    }

    private void after(double seconds) {
        now += (long) (seconds * Duration.ofSeconds(1).toNanos());
    }

    @Test
    @DisplayName("Work of less than two seconds prints nothing")
    void shortWork() {
        try (var progress = lines(2)) {
            after(1);
            progress.step();
            after(0.9);
            progress.step();
        }

        assertEquals("", bytes.toString(UTF_8));
    }

    @Test
    @DisplayName("Longer work prints a line after two seconds, then every five, and one at the end")
    void longWork() {
        try (var progress = lines(80)) {
            for (int step = 0; step < 80; step++) {
                after(0.125);
                progress.step("loss " + step);
            }
        }

        assertEquals(
                """
                Training: 20% (16 of 80), 0:02, about 0:08 left, loss 15
                Training: 70% (56 of 80), 0:07, about 0:03 left, loss 55
                Training: 100% (80 of 80), 0:10, loss 79
                """,
                bytes.toString(UTF_8));
    }

    @Test
    @DisplayName("Work that is broken off says how far it came")
    void brokenOff() {
        try (var progress = lines(10)) {
            after(3);
            progress.step();
            after(60);
            progress.step();
        }

        assertEquals(
                """
                Training: 10% (1 of 10), 0:03, about 0:27 left
                Training: 20% (2 of 10), 1:03, about 4:12 left
                """,
                bytes.toString(UTF_8));
    }

    @Test
    @DisplayName("Steps that an earlier run had done say nothing of the pace")
    void goesOn() {
        try (var progress = lines(12)) {
            for (int step = 0; step < 6; step++) {
                progress.step();
            }
            after(2);
            progress.step();
        }

        assertEquals("Training: 58% (7 of 12), 0:02, about 0:10 left\n", bytes.toString(UTF_8));
    }
}
