package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

@DisplayName("The command demo, before it begins to train,")
class DemoTest {
    @TempDir Path directory;

    @Test
    @DisplayName("refuses to replace a model that is there, and leaves it as it is")
    void keepsModels() throws IOException {
        Path model = Files.writeString(directory.resolve("pruned.safetensors"), "mine");

        CommandLineRun run = demo("--out", directory.toString());

        assertFails(run, "pruned.safetensors");
        assertTrue(run.err().contains("--force"), run.err());
        assertEquals("mine", Files.readString(model));
    }

    @Test
    @DisplayName("says that it can't write where --out is a file")
    void unwritable() throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "");

        assertFails(demo("--out", file.toString()), file.toString());
    }

    @Test
    @DisplayName("says that the digits are missing, and leaves nothing behind")
    void missingDigits() throws IOException {
        List<Path> before = temporary();

        assertFails(demo("--data", directory.toString()), directory.toString());

        assertEquals(before, temporary());
    }

    @Test
    @DisplayName("leaves a folder that another run writes to, and takes it when that has ended")
    void oneRunAtATime() throws IOException {
        Files.writeString(directory.resolve("pruned.safetensors"), "mine");
        try (var other = WriteLock.ofFolder(directory)) {
            assertFails(
                    demo("--out", directory.toString(), "--force"),
                    "Another run writes to " + directory + "; wait until it has ended, or choose");
        }
        assertFails(demo("--out", directory.toString()), "--force");
        try (Stream<Path> left = Files.list(directory)) {
            assertEquals(List.of(directory.resolve("pruned.safetensors")), left.toList());
        }
    }

    private static void assertFails(CommandLineRun run, String named) {
        assertEquals(1, run.code());
        assertEquals("", run.out());
        assertEquals(1, run.err().lines().count(), run.err());
        assertTrue(run.err().contains(named), run.err());
        assertFalse(run.err().contains("Unexpected"), run.err());
    }

    private static CommandLineRun demo(String... options) {
        return CommandLineRun.of(
                Stream.concat(Stream.of("demo", "--quick"), Arrays.stream(options))
                        .toArray(String[]::new));
    }

    private static List<Path> temporary() throws IOException {
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return files.filter(file -> file.getFileName().toString().startsWith("espalier-demo-"))
                    .sorted()
                    .toList();
        }
    }
}
