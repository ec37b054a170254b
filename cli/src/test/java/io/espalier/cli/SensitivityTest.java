package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import javax.imageio.ImageIO;

@DisplayName("The command sensitivity")
class SensitivityTest {
    @TempDir Path folder;
    private Path model;

    @BeforeEach
    void model() {
        model = OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
    }

    private CommandLineRun sensitivity(String... options) {
        var arguments =
                new ArrayList<>(
                        List.of("sensitivity", model.toString(), "--random", "--limit", "4"));
        arguments.addAll(List.of(options));
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    @Test
    @DisplayName("ranks layers by what they cost")
    void ranks() {
        CommandLineRun run = sensitivity("--json");

        assertEquals(0, run.code(), run.err());
        JsonNode layers = JsonMapper.shared().readTree(run.out()).get("layers");
        assertEquals(2, layers.size(), run.out());
        double first = layers.get(0).get("drop").asDouble();
        assertTrue(first >= layers.get(1).get("drop").asDouble(), run.out());
        assertTrue(first > 0 && first < 0.05, run.out());
    }

    @Test
    @DisplayName("ranks layers by the right results that they lose, where labels say what is right")
    void labels() throws IOException {
        model = OnnxFile.ofClasses(folder.resolve("classes.onnx"));
        Path images = Files.createDirectory(folder.resolve("images"));
        ImageIO.write(
                new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB),
                "png",
                images.resolve("a.png").toFile());
        Path labels = Files.writeString(folder.resolve("labels.tsv"), "a.png\t3\n");

        CommandLineRun run =
                CommandLineRun.of(
                        "sensitivity",
                        model.toString(),
                        "--data",
                        images.toString(),
                        "--labels",
                        labels.toString());

        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().contains("right results (accuracy) that is lost"), run.out());
        assertTrue(run.out().contains("0.000000"), run.out());
    }

    @Test
    @DisplayName("goes on from its journal, and refuses another model's")
    void journal() throws IOException {
        Path journal = folder.resolve("j");
        CommandLineRun whole = sensitivity("--journal", journal.toString());
        List<String> lines = Files.readAllLines(journal);
        // As a process leaves it that was ended while it wrote.
        Files.writeString(journal, lines.get(0) + "\n" + lines.get(1) + "\n{\"c");

        CommandLineRun again = sensitivity("--journal", journal.toString());
        CommandLineRun other = sensitivity("--seed", "5", "--journal", journal.toString());

        assertEquals(0, again.code(), again.err());
        assertEquals(whole.out(), again.out());
        assertEquals(lines, Files.readAllLines(journal));
        assertEquals(1, other.code());
        assertTrue(other.err().contains("is of another model"), other.err());
    }

    @Test
    @DisplayName("never writes over a file that is no journal")
    void foreignFile() throws IOException {
        Path file = Files.writeString(folder.resolve("notes.txt"), "mine");

        CommandLineRun run = sensitivity("--journal", file.toString());

        assertEquals(1, run.code());
        assertTrue(run.err().contains("is no journal"), run.err());
        assertEquals("mine", Files.readString(file));
    }
}
