package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

@DisplayName("The option --runtime")
class RuntimeTest {
    @TempDir Path folder;
    private Path model;

    @BeforeEach
    void write() {
        model = OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
    }

    private static CommandLineRun run(Path first, String... more) {
        var arguments = new ArrayList<>(List.of(more));
        arguments.add(1, first.toString());
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    @Test
    @DisplayName("quantizes for libtorch, and the result is compared and inspected")
    void libtorch() {
        Path small = folder.resolve("small.safetensors");

        CommandLineRun made =
                run(
                        model,
                        "quantize",
                        "-o",
                        small.toString(),
                        "--runtime",
                        "libtorch",
                        "--random",
                        "--limit",
                        "8",
                        "--explain",
                        "--force");
        assertEquals(0, made.code(), made.err());
        assertTrue(made.out().contains("layers in integers"), made.out());

        CommandLineRun compared =
                run(model, "compare", small.toString(), "--random", "--limit", "4", "--json");
        assertEquals(0, compared.code(), compared.err());
        JsonNode found = JsonMapper.shared().readTree(compared.out());
        assertTrue(found.path("outputs").path(0).path("cosine").asDouble() > 0.99, compared.out());

        CommandLineRun inspected = run(small, "inspect");
        assertEquals(0, inspected.code(), inspected.err());
        assertTrue(inspected.out().contains("IntegerConv"), inspected.out());
    }

    @Test
    @DisplayName("runs the second file of a comparison, and shows a model, as libtorch has them")
    void onnxFiles() {
        CommandLineRun compared =
                run(
                        model,
                        "compare",
                        model.toString(),
                        "--runtime",
                        "libtorch",
                        "--random",
                        "--limit",
                        "4",
                        "--json");
        assertEquals(0, compared.code(), compared.err());
        JsonNode found = JsonMapper.shared().readTree(compared.out());
        assertEquals(1, found.path("outputs").path(0).path("cosine").asDouble(), 1e-6);
        assertTrue(found.path("layers").isEmpty(), compared.out());

        CommandLineRun inspected =
                run(model, "inspect", "--runtime", "libtorch", "--input", "image=1x3x16x16");
        assertEquals(0, inspected.code(), inspected.err());
        assertTrue(inspected.out().contains("relu("), inspected.out());
        assertTrue(inspected.out().contains("Float[1, 64, 16, 16]"), inspected.out());
        assertEquals(
                inspected.out(), run(model, "inspect", "--runtime", "libtorch").out(), "one image");
    }

    @Test
    @DisplayName("is refused where it makes no sense")
    void refused() {
        Path onnx = folder.resolve("out.onnx");
        assertUsage(
                "call it *.safetensors",
                run(model, "quantize", "-o", onnx.toString(), "--runtime", "libtorch", "--random"));
        assertUsage(
                "--mode is auto",
                run(
                        model,
                        "quantize",
                        "-o",
                        "out.safetensors",
                        "--runtime",
                        "libtorch",
                        "--mode",
                        "static",
                        "--random"));
        assertUsage("onnxruntime or libtorch", run(model, "inspect", "--runtime", "tensorflow"));
        assertFalse(Files.exists(onnx));
    }

    private static void assertUsage(String part, CommandLineRun run) {
        assertEquals(2, run.code(), run.err());
        assertTrue(run.err().contains(part), run.err());
    }
}
