package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

@DisplayName("The command slim")
class SlimTest {
    @TempDir Path folder;
    private Path model;
    private Path out;

    @BeforeEach
    void model() {
        model = OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
        out = folder.resolve("out.onnx");
    }

    private CommandLineRun slim(Path from, String... options) {
        var arguments = new ArrayList<>(List.of("slim", from.toString(), "-o", out.toString()));
        arguments.addAll(List.of(options));
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    /** Channels between the two convolutions of a file. */
    private static long width(Path file) {
        OnnxModel written = OnnxModel.load(file);
        OnnxNode last =
                written.graph().nodes().stream()
                        .filter(node -> node.op().equals("Conv"))
                        .toList()
                        .getLast();
        return Objects.requireNonNull(written.graph().constant(last.input(1))).shape().get(1);
    }

    @Test
    @DisplayName("writes a model with fewer channels, and says what goes with what")
    void writes() {
        CommandLineRun run = slim(model, "--ratio", "0.5", "--explain");

        assertEquals(0, run.code(), run.err());
        assertEquals(32, width(out));
        assertTrue(run.out().contains("units of w0[0]"), run.out());
        assertTrue(run.out().contains("stays, since"), run.out());
    }

    @Test
    @DisplayName("takes nothing from layers to be kept, and prints JSON")
    void keeps() {
        CommandLineRun run = slim(model, "--ratio", "0.5", "--keep", "w0", "--json");

        assertEquals(0, run.code(), run.err());
        assertEquals(64, width(out));
        assertTrue(run.out().startsWith("{\"model\":{\"file\":"), run.out());
        assertFalse(run.out().contains("stays"), run.out());
    }

    @Test
    @DisplayName("takes out what pruning has emptied, and nothing of a model without zeros")
    void takesEmpty() {
        Path pruned = folder.resolve("pruned.onnx");
        CommandLineRun.of(
                "prune",
                model.toString(),
                "-o",
                pruned.toString(),
                "--amount",
                "1",
                "--keep",
                "w1");

        assertEquals(0, slim(pruned, "--pruned").code());
        assertEquals(1, width(out));
        assertEquals(0, slim(model, "--pruned", "--force").code());
        assertEquals(64, width(out));
    }

    @Test
    @DisplayName("says in one line that nothing has the name that is given")
    void refuses() {
        CommandLineRun run = slim(model, "--ratio", "0.5", "--only", "head");

        assertEquals(1, run.code());
        assertEquals(
                "Nothing that can be removed is named 'head'; the groups tell what can.",
                run.err().strip().replaceFirst("^.*?: ", ""));
        assertFalse(Files.exists(out));
    }
}
