package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

@DisplayName("A search's journal")
class JournalTest {
    @TempDir Path folder;

    private Journal journal(String work, boolean anew) {
        Journal journal = Journal.open(new Journal.Place(folder.resolve("j"), anew));
        try {
            journal.of(work);
            return journal;
        } catch (EspalierException e) {
            journal.close();
            throw e;
        }
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

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 9, 21, 40, 85, 86})
    @DisplayName("that ends before it says of what it is kept nothing, and is begun")
    void cutOffAtOnce(int length) throws IOException {
        Path file = folder.resolve("j");
        String header = "{\"espalier-journal\":\"" + "0a".repeat(32) + "\"}";
        Files.writeString(file, header.substring(0, length));

        try (var begun = journal("0b", false)) {
            assertFalse(begun.isBegunAnew());
            begun.number("n", () -> 1.0);
        }

        assertEquals("{\"espalier-journal\":\"0b\"}\n{\"n\":1.0}\n", Files.readString(file));
    }

    @Test
    @DisplayName("of other work is left as it is, and says that it is begun anew where it may be")
    void ofOtherWork() throws IOException {
        Path file = folder.resolve("j");
        try (var first = journal("a", false)) {
            first.number("n", () -> 1.0);
        }
        String whole = Files.readString(file);

        String refused =
                assertThrows(EspalierException.class, () -> journal("b", false)).getMessage();

        assertEquals(
                "The journal %s is of another model, other data or other settings; delete it, name another file, or begin anew (--force)."
                        .formatted(file),
                refused);
        assertEquals(whole, Files.readString(file));
        try (var anew = journal("b", true)) {
            assertTrue(anew.isBegunAnew());
        }
    }

    @Test
    @DisplayName("is told to be none before it is asked whose it is")
    void isNone() throws IOException {
        Files.writeString(folder.resolve("j"), "my notes");

        String refused =
                assertThrows(
                                EspalierException.class,
                                () -> Journal.open(new Journal.Place(folder.resolve("j"), true)))
                        .getMessage();

        assertTrue(String.valueOf(refused).contains("is no journal; move it away"), refused);
        assertEquals("my notes", Files.readString(folder.resolve("j")));
    }
}
