package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

@DisplayName("A search's journal")
class JournalTest {
    @TempDir Path folder;

    private Journal journal(String work, boolean anew) {
        return Journal.at(new Journal.Place(folder.resolve("j"), anew), work);
    }

    @Test
    @DisplayName("is one run's until that has ended")
    void isOneRuns() {
        try (var first = journal("a", true)) {
            first.number("n", () -> 1.0);

            var refused = assertThrows(EspalierException.class, () -> journal("a", true));

            assertEquals(
                    "Another run keeps its journal in %s; wait until it has ended, or name another file."
                            .formatted(folder.resolve("j")),
                    refused.getMessage());
            first.number("m", () -> 2.0);
        }
        try (var again = journal("a", false)) {
            assertEquals(1, again.number("n", () -> 0.0));
            assertEquals(2, again.number("m", () -> 0.0));
        }
    }

    @Test
    @DisplayName("loses what was being written when a run was killed, and nothing else")
    void cutOff() throws IOException {
        Path file = folder.resolve("j");
        try (var first = journal("a", false)) {
            first.number("n", () -> 1.0);
        }
        String whole = Files.readString(file);
        Files.writeString(file, whole + "{\"m\":[1, 2");

        try (var again = journal("a", false)) {
            assertEquals(whole, Files.readString(file));
            assertEquals(1, again.number("n", () -> 0.0));
            again.number("m", () -> 3.0);
        }

        assertEquals(whole + "{\"m\":3.0}\n", Files.readString(file));
    }

    @Test
    @DisplayName("of other work is begun anew where it may be, and is gone if nothing was found")
    void anew() {
        try (var first = journal("a", false)) {
            first.number("a long name of what was found before", () -> 1.0);
        }
        try (var other = journal("b", true)) {
            assertEquals(2, other.number("n", () -> 2.0));
        }
        try (var again = journal("b", false)) {
            assertEquals(2, again.number("n", () -> 0.0));
        }
        journal("c", true).close();
        assertFalse(Files.exists(folder.resolve("j")));
    }
}
