package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
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
                        new PrintStream(bytes, true, StandardCharsets.UTF_8), clock::get)) {
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
}
