package io.espalier.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

class GuidesTest {
    private static final Path GUIDES = Path.of("..", "docs", "guide").toAbsolutePath().normalize();

    @ParameterizedTest
    @ValueSource(strings = {"pruning", "training", "quantization", "saving", "onnx", "slimming"})
    @DisplayName("The Java of a guide, from top to bottom, is one program that runs")
    void runs(String guide, @TempDir Path folder) throws IOException {
        Path file = folder.resolve("Guide.java");
        Files.writeString(
                file,
                imports(guide)
                        + "\nvoid main() throws Exception {\n"
                        + String.join("\n", blocks(guide + ".md", "java"))
                        + "}\n");
        var program = new SourceProgram(file, folder);

        program.compile();
        String printed = assertTimeoutPreemptively(Duration.ofMinutes(10), program::run);

        assertFalse(printed.isBlank());
    }

    @Test
    @DisplayName("What the guide to services quotes stands in the examples that it names")
    void quotes() throws IOException {
        String guide = Files.readString(GUIDES.resolve("services.md"));
        var programs = new StringBuilder();
        for (MatchResult program :
                Pattern.compile("\\(\\.\\./\\.\\./(examples/\\w+\\.java)\\)")
                        .matcher(guide)
                        .results()
                        .toList()) {
            programs.append(Files.readString(Path.of("..").resolve(program.group(1))));
        }
        List<String> quotes = blocks("services.md", "java");

        assertFalse(quotes.isEmpty());
        for (String quote : quotes) {
            assertTrue(plain(programs).contains(plain(quote)), quote);
        }
    }

    private static String plain(CharSequence code) {
        return code.toString().replaceAll("\\s+", " ").strip();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "pruning",
                "training",
                "quantization",
                "saving",
                "onnx",
                "slimming",
                "services"
            })
    @DisplayName("A guide has the same Java in both languages")
    void sameInBothLanguages(String guide) throws IOException {
        assertEquals(blocks(guide + ".md", "java"), blocks(guide + ".zh-CN.md", "java"));
    }

    /** Those of the first guide, and what another has besides. */
    private static String imports(String guide) throws IOException {
        var imports = new LinkedHashSet<>(blocks("pruning.md", "text"));
        imports.addAll(blocks(guide + ".md", "text"));
        return String.join("\n", imports);
    }

    private static List<String> blocks(String guide, String language) throws IOException {
        return Pattern.compile("(?s)```" + language + "\n(.*?)```")
                .matcher(Files.readString(GUIDES.resolve(guide)))
                .results()
                .map((MatchResult block) -> block.group(1))
                .toList();
    }
}
