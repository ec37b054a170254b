package io.espalier.state;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

class ZstandardTest {
    /** What a child process runs. */
    static final class Start {
        private Start() {}

        static void main() {
            for (int time = 0; time < 2; time++) {
                try {
                    IO.println(Zstandard.pack(new byte[100]).length);
                } catch (EspalierException e) {
                    IO.println(e.getMessage());
                }
            }
        }
    }

    @Test
    @DisplayName("without room for its library it is one sentence, each time, and no stack trace")
    void noRoom(@TempDir Path folder) throws IOException, InterruptedException {
        Path output = folder.resolve("output.txt");
        Path file = Files.createFile(folder.resolve("no-folder"));
        var java = Path.of(System.getProperty("java.home"), "bin", "java");

        Process process =
                new ProcessBuilder(
                                java.toString(),
                                "--enable-native-access=ALL-UNNAMED",
                                "-Djava.io.tmpdir=" + file,
                                "-cp",
                                System.getProperty("java.class.path"),
                                Start.class.getName())
                        .redirectErrorStream(true)
                        .redirectOutput(output.toFile())
                        .start();

        assertEquals(0, process.waitFor());
        String sentence =
                "Zstandard can't be loaded: it unpacks its library into %s; make room there, or name another folder by -Djava.io.tmpdir=DIR."
                        .formatted(file);
        assertEquals(
                List.of(sentence, sentence),
                Files.readAllLines(output).stream()
                        .filter(line -> !line.contains("java.io.tmpdir directory does not exist"))
                        .filter(line -> !line.startsWith("Picked up"))
                        .toList());
    }
}
