package io.espalier.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

@DisplayName("A locked file")
class LockedFileTest {
    @TempDir Path folder;

    @Test
    @DisplayName("is one's until it is given up")
    void isOnes() throws IOException {
        Path file = folder.resolve("f");

        try (var first = LockedFile.open(file).orElseThrow()) {
            assertTrue(LockedFile.open(file).isEmpty());
            first.channel().write(StandardCharsets.UTF_8.encode("mine"));
        }

        try (var second = LockedFile.open(file).orElseThrow()) {
            var content = ByteBuffer.allocate(8);
            assertEquals(4, second.channel().read(content));
        }
        assertEquals("mine", Files.readString(file));
    }

    @Test
    @DisplayName("is made anew where the one before was deleted")
    void isMadeAnew() throws IOException {
        Path file = folder.resolve("f");

        try (var first = LockedFile.open(file).orElseThrow()) {
            first.delete();
            assertFalse(Files.exists(file));
            try (var second = LockedFile.open(file).orElseThrow()) {
                assertTrue(Files.exists(file));
                assertEquals(0, second.channel().size());
            }
        }
    }
}
