package io.espalier.examples;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

class ExamplesTest {
    private static final Path FOLDER = Path.of("").toAbsolutePath();

    @TestFactory
    @DisplayName("Every example compiles without a warning, runs, and prints something")
    List<DynamicTest> examples(@TempDir Path classes) throws IOException {
        return tests(FOLDER, classes, ExamplesTest::run);
    }

    @TestFactory
    @DisplayName("Every program of published results, which takes long, compiles without a warning")
    List<DynamicTest> papers(@TempDir Path classes) throws IOException {
        return tests(FOLDER.resolve("papers"), classes, SourceProgram::compile);
    }

    @Test
    @DisplayName("Deep Compression on a few digits makes small files and prints the papers' table")
    void deepCompression(@TempDir Path classes) throws Exception {
        var program =
                new SourceProgram(
                        FOLDER.resolve("papers").resolve("DeepCompression.java"), classes);
        program.compile();

        String printed = program.runWith("300", "quick");

        assertTrue(printed.contains("LeNet-300-100, Han et al., 2016"), printed);
        assertTrue(
                printed.matches("(?s).*LeNet-300-100, 4 bits +[\\d,]+ +\\d\\d\\.\\dx +5\\.0x .*"),
                printed);
    }

    private static List<DynamicTest> tests(Path folder, Path classes, Consumer<SourceProgram> test)
            throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".java"))
                    .sorted()
                    .map(file -> new SourceProgram(file, classes))
                    .map(program ->
                            DynamicTest.dynamicTest(program.name(), () -> test.accept(program)))
                    .toList();
        }
    }

    private static void run(SourceProgram program) {
        program.compile();
        String printed = assertTimeoutPreemptively(Duration.ofMinutes(10), program::run);
        assertFalse(printed.isBlank(), () -> program.name() + " printed nothing");
    }
}
