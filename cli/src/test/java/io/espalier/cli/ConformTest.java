package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.state.SafeTensors;
import io.espalier.tensor.Tensors;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

@DisplayName("The command conformance")
class ConformTest {
    @TempDir Path directory;

    @Test
    @DisplayName("ends with the counts and 0 where every case passes, with 1 where one fails")
    void exitCode() throws IOException {
        write(0, 0, 1);
        CommandLineRun passes = CommandLineRun.of("conformance", directory.toString());
        assertEquals("1 passed, 0 failed", passes.out().strip());
        assertEquals(0, passes.code());

        write(1, 0, 1);
        CommandLineRun fails = CommandLineRun.of("conformance", directory.toString());
        assertTrue(fails.out().startsWith("FAILED prune-000: mask[0]: "), fails.out());
        assertTrue(
                fails.out().endsWith("0 passed, 1 failed" + System.lineSeparator()), fails.out());
        assertEquals(1, fails.code());
    }

    @Test
    @DisplayName("prints the counts as JSON on request")
    void json() throws IOException {
        write(0, 0, 1);
        assertEquals(
                "{\"passed\":1,\"failed\":0,\"skipped\":0}",
                CommandLineRun.of("conformance", "--json", directory.toString()).out().strip());
    }

    @Test
    @DisplayName("says in one line that a directory is not there")
    void missingDirectory() {
        CommandLineRun run = CommandLineRun.of("conformance", directory.resolve("no").toString());

        assertEquals(1, run.code());
        assertEquals(1, run.err().lines().count());
        assertTrue(run.err().contains("No directory"), run.err());
    }

    private void write(float... mask) throws IOException {
        Files.writeString(
                directory.resolve("prune.json"),
                """
                [{"id": "prune-000", "op": "l1_unstructured", "params": {"amount": 2},
                  "inputs": {"weight": {"tensor": "w"}}, "expect": {"mask": {"tensor": "m"}}}]
                """);
        SafeTensors.write(
                directory.resolve("prune.safetensors"),
                Map.of("w", Tensors.of(1, 2, 3), "m", Tensors.of(mask)),
                Map.of());
    }
}
