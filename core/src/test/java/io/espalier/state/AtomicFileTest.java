package io.espalier.state;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;

class AtomicFileTest {
    @TempDir Path folder;

    private static void write(Path file, String text) {
        AtomicFile.write(file, channel -> channel.write(ByteBuffer.wrap(text.getBytes(UTF_8))));
    }

    private static final java.nio.charset.Charset UTF_8 = java.nio.charset.StandardCharsets.UTF_8;

    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.sorted().toList();
        }
    }

    @Test
    @DisplayName("a disk that fills up leaves the file that was there and no half one")
    void fullDisk() throws IOException {
        Path file = folder.resolve("model");
        write(file, "old");
        String message =
                messageOf(() ->
                        AtomicFile.write(
                                file,
                                channel -> {
                                    channel.write(ByteBuffer.wrap("half".getBytes(UTF_8)));
                                    throw new IOException("No space left on device");
                                }));
        assertEquals("Can't write " + file + ": No space left on device.", message);
        assertEquals("old", Files.readString(file));
        assertEquals(List.of(file), files());
    }

    @Test
    @DisplayName("a folder in the file's place is said, and stays")
    void folder() throws IOException {
        Path inside = Files.createDirectory(folder.resolve("model"));
        assertEquals(
                "Can't write " + inside + ": it is a folder; name a file.",
                messageOf(() -> write(inside, "new")));
        assertEquals(List.of(inside), files());
    }

    @Test
    @DisplayName("a link goes on to point at its file, which is replaced")
    void link() throws IOException {
        Path file = folder.resolve("a");
        write(file, "old");
        Path link = Files.createSymbolicLink(folder.resolve("b"), file);
        write(link, "new");
        assertTrue(Files.isSymbolicLink(link));
        assertEquals("new", Files.readString(file));
    }

    @Test
    @DisplayName("a link to a file that is not there yet goes on to point at it; a circle is named")
    void danglingLink() throws IOException {
        Path file = folder.resolve("c");
        Path near = Files.createSymbolicLink(folder.resolve("b"), Path.of("c"));
        Path link = Files.createSymbolicLink(folder.resolve("a"), near);
        write(link, "new");
        assertTrue(Files.isSymbolicLink(link));
        assertTrue(Files.isSymbolicLink(near));
        assertEquals("new", Files.readString(file));

        Path round = Files.createSymbolicLink(folder.resolve("x"), Path.of("x"));
        assertEquals(
                "Can't write " + round + ": its links lead in a circle.",
                messageOf(() -> write(round, "new")));
        assertTrue(Files.isSymbolicLink(round));
    }

    @Test
    @DisplayName("an empty path is said to be empty")
    void emptyPath() {
        assertEquals(
                "Can't write a file: its path is empty; name a file.",
                messageOf(() -> write(Path.of(""), "new")));
        assertEquals(
                "Can't read a file: its path is empty; name a file.",
                messageOf(() -> StateFile.open(Path.of(""))));
    }

    @Test
    @DisplayName("whoever could not read the file that was there can't read the new one")
    void permissions() throws IOException {
        Path file = folder.resolve("private");
        Files.writeString(file, "old");
        assumeTrue(Files.getFileStore(file).supportsFileAttributeView("posix"));
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));

        AtomicFile.write(file, channel -> channel.write(ByteBuffer.wrap(new byte[] {1, 2})));

        assertEquals(2, Files.size(file));
        assertEquals(
                "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    }
}
