package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.quant.QuantizationProgress;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

@DisplayName("Progress in stages")
class StageProgressTest {
    private static final long SECOND = 1_000_000_000L;

    @Test
    @DisplayName("says every five seconds how far a stage is and what is left of it")
    void lines() {
        var bytes = new ByteArrayOutputStream();
        var clock = new AtomicLong();
        try (var progress =
                new StageProgress(
                        new PrintStream(bytes, true, StandardCharsets.UTF_8), clock::get, false)) {
            progress.at("running the teacher", 0, 1);
            clock.set(6 * SECOND);
            progress.at("fitting layers", 1, 10);
            clock.set(8 * SECOND);
            progress.at("fitting layers", 2, 10);
            clock.set(12 * SECOND);
            progress.at("fitting layers", 4, 10);
        }

        assertEquals(
                "    6 s  fitting layers: 1 of 10%n   12 s  fitting layers: 4 of 10, about 12 s left%n"
                        .formatted(),
                bytes.toString(StandardCharsets.UTF_8));
    }

    @Test
    @DisplayName(
            "says each step of a quantization once, and every five seconds what is left of all")
    void quantization() {
        var bytes = new ByteArrayOutputStream();
        var clock = new AtomicLong();
        try (var progress =
                new StageProgress(
                        new PrintStream(bytes, true, StandardCharsets.UTF_8), clock::get, false)) {
            progress.at(at("running the float model", 0, 0, Optional.empty()));
            clock.set(3 * SECOND);
            progress.at(at("fitting layers, attempt 1", 0, 0, Optional.empty()));
            clock.set(5 * SECOND);
            progress.at(
                    at("fitting layers, attempt 1", 8, 40, Optional.of(Duration.ofSeconds(40))));
            clock.set(9 * SECOND);
            progress.at(
                    at("fitting layers, attempt 1", 24, 40, Optional.of(Duration.ofSeconds(31))));
        }

        assertEquals(
                """
                    3 s  fitting layers, attempt 1
                    9 s  fitting layers, attempt 1: 24 of 40, up to 32 s left
                """
                        .formatted(),
                bytes.toString(StandardCharsets.UTF_8));
    }

    private static QuantizationProgress at(
            String step, long done, long total, Optional<Duration> left) {
        return new QuantizationProgress(step, done, total, left);
    }
}
