package io.espalier.onnx.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

@DisplayName("ONNX Runtime's reports of its use")
class TelemetryTest {
    /** What a child process runs. */
    static final class Start {
        private Start() {}

        static void main() {
            IO.println(RuntimeEnvironment.get());
        }
    }

    @Test
    @DisplayName("do not end a process whose class path is long")
    void longClassPath(@TempDir Path folder) throws IOException, InterruptedException {
        Path errors = folder.resolve("errors.txt");
        String classPath =
                System.getProperty("java.class.path") + File.pathSeparator + "x".repeat(5000);
        var java = Path.of(System.getProperty("java.home"), "bin", "java");

        Process process =
                new ProcessBuilder(
                                java.toString(),
                                "--enable-native-access=ALL-UNNAMED",
                                "-cp",
                                classPath,
                                Start.class.getName())
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .redirectError(errors.toFile())
                        .start();

        assertEquals(0, process.waitFor(), () -> read(errors));
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }
}
