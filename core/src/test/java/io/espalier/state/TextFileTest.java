package io.espalier.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

@DisplayName("A text file")
class TextFileTest {
    private static final int MEGABYTE = 1 << 20;

    @TempDir Path folder;

    private static String reason(Path file) {
        return AtomicFile.reason(
                assertThrows(IOException.class, () -> TextFile.read(file, MEGABYTE)));
    }

    @Test
    @DisplayName("is read up to as many bytes as are held")
    void isRead() throws IOException {
        String text = "gr\u00fcn\nblau\n";
        Path file = Files.writeString(folder.resolve("t"), text);
        Path full = Files.write(folder.resolve("full"), new byte[MEGABYTE]);
        Path large = Files.write(folder.resolve("large"), new byte[MEGABYTE + 1]);

        assertEquals(text, TextFile.read(file, MEGABYTE));
        assertEquals(List.of("gr\u00fcn", "blau"), TextFile.lines(file, MEGABYTE));
        assertEquals(MEGABYTE, TextFile.read(full, MEGABYTE).length());
        assertEquals("it has more than 1 MB", reason(large));
        assertEquals("it has more than 1 MB", reason(Path.of("/dev/zero")));
    }

    @Test
    @DisplayName("is refused in plain words where it is something else")
    void isRefused() throws IOException {
        byte[] latin = "gr\u00fcn".getBytes(StandardCharsets.ISO_8859_1);

        assertEquals("it is no text in UTF-8", reason(Files.write(folder.resolve("latin"), latin)));
        assertEquals("it is a folder", reason(folder));
        assertEquals("no such file or folder", reason(folder.resolve("none")));
    }

    @Test
    @DisplayName("begins after a byte-order mark")
    void mark() throws IOException {
        Path file = Files.writeString(folder.resolve("t"), "\uFEFFa\uFEFF\n");

        assertEquals("a\uFEFF\n", TextFile.read(file, MEGABYTE));
        assertEquals("", TextFile.read(Files.writeString(file, "\uFEFF"), MEGABYTE));
    }
}
