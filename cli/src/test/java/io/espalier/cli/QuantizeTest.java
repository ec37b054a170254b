package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Npy;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

@DisplayName("The command quantize")
class QuantizeTest {
    @TempDir Path folder;
    private Path model;
    private Path out;

    @BeforeEach
    void model() {
        model = OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
        out = folder.resolve("out.onnx");
    }

    private CommandLineRun quantize(String... options) {
        var arguments =
                new ArrayList<>(List.of("quantize", model.toString(), "-o", out.toString()));
        arguments.addAll(List.of(options));
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    @Test
    @DisplayName("writes a smaller model, and says what became of its layers")
    void writes() throws IOException {
        CommandLineRun run =
                quantize("--random", "--mode", "static", "--explain", "--force", "--limit", "8");

        assertEquals(0, run.code(), run.err());
        assertTrue(Files.size(out) < 0.4 * Files.size(model), run.out());
        assertTrue(run.out().contains("2 of 2 layers in integers"), run.out());
        assertTrue(run.out().contains("Conv Relu"), run.out());
        assertTrue(
                OnnxModel.load(out).graph().nodes().stream()
                        .anyMatch(node -> node.op().equals("QLinearConv")));
    }

    @Test
    @DisplayName("keeps weights in 16 bits without any data")
    void halves() throws IOException {
        CommandLineRun run = quantize("--mode", "float16", "--force");

        assertEquals(0, run.code(), run.err());
        assertFalse(run.err().contains("WARNING"), run.err());
        assertTrue(Files.size(out) < 0.51 * Files.size(model), run.out());
        assertTrue(run.out().contains("2 of 2 weights in 16 bits"), run.out());
        assertTrue(run.out().contains("cosine to the float model 1.0000"), run.out());
    }

    @Test
    @DisplayName(
            "says how many weights are stored in how many bits where all is computed in floats")
    void storedWeights() {
        CommandLineRun stored = quantize("--random", "--mode", "weight-only", "--force");
        CommandLineRun dynamic = quantize("--random", "--mode", "dynamic", "--force");
        model = OnnxFile.ofMatrices(folder.resolve("matrices.onnx"));
        CommandLineRun four =
                quantize("--random", "--mode", "weight-only", "--bits", "4", "--force");

        assertTrue(stored.out().contains("2 of 2 weights in 8 bits"), stored.out());
        assertTrue(
                dynamic.out()
                        .contains("0 of 2 layers in integers, the weights of 2 more in 8 bits"),
                dynamic.out());
        assertTrue(four.out().contains("1 of 1 weights in 4 bits;"), four.out());
    }

    @Test
    @DisplayName("puts matrices into 4 bits, and says so")
    void fourBits() {
        model = OnnxFile.ofMatrices(folder.resolve("matrices.onnx"));

        CommandLineRun run =
                quantize(
                        "--random",
                        "--mode",
                        "weight-only",
                        "--bits",
                        "4",
                        "--block-size",
                        "64",
                        "--rounding",
                        "nearest",
                        "--force",
                        "--json");

        assertEquals(0, run.code(), run.err());
        JsonNode layer = JsonMapper.builder().build().readTree(run.out()).get("layers").get(0);
        assertEquals("int4", layer.get("precision").asString());
        assertEquals("rounded to nearest, a scale for each 64 values", layer.get("why").asString());
        assertTrue(
                OnnxModel.load(out).graph().nodes().stream()
                        .anyMatch(node -> node.op().equals("MatMulNBits")));
    }

    @Test
    @DisplayName("writes the standard's operators alone, and one scale for a weight, if told so")
    void portable() {
        CommandLineRun run =
                quantize("--random", "--mode", "static", "--portable", "--per-tensor", "--force");

        assertEquals(0, run.code(), run.err());
        OnnxModel written = OnnxModel.load(out);
        assertEquals(List.of(""), List.copyOf(written.opsets().keySet()));
        assertEquals(
                List.of(1L),
                written.graph().nodes().stream()
                        .filter(node -> node.is("DequantizeLinear"))
                        .map(node -> written.graph().constants().get(node.input(1)))
                        .map(scale -> scale == null ? 0L : scale.elements())
                        .distinct()
                        .toList());
    }

    @Test
    @DisplayName("keeps layers in floats by their names")
    void keepsFloat() {
        CommandLineRun run =
                quantize("--random", "--mode", "static", "--force", "--keep-float", "c1*");

        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().contains("1 of 2 layers in integers"), run.out());
        assertTrue(
                OnnxModel.load(out).graph().nodes().stream()
                        .anyMatch(node -> node.op().equals("Conv")));
    }

    @Test
    @DisplayName("says the same as JSON")
    void json() throws IOException {
        CommandLineRun run = quantize("--random", "--force", "--json", "--limit", "8");

        assertEquals(0, run.code(), run.err());
        JsonNode found = JsonMapper.builder().build().readTree(run.out());
        assertTrue(found.get("drop").asDouble() <= 0.01);
        assertTrue(found.get("bytes_after").asLong() < found.get("bytes_before").asLong());
        assertEquals(Files.size(model), found.get("bytes_before").asLong());
        assertEquals(Files.size(out), found.get("bytes_after").asLong());
        assertEquals(out.toString(), found.get("out").asString());
    }

    @ParameterizedTest(name = "{0} {1}")
    @DisplayName("refuses what can't be, in one line,")
    @CsvSource({
        "--mode, int3, 2, --mode is auto",
        "--max-drop, 2, 2, above 0 and below 1",
        "--threads, 0, 2, from 1 to 1024",
        "--keep-float, '', 2, --data",
    })
    void refuses(String option, String value, int code, String words) {
        CommandLineRun run =
                option.equals("--keep-float")
                        ? quantize(option, value)
                        : quantize("--random", option, value);

        assertEquals(code, run.code(), run.err());
        assertTrue(run.err().contains(words), run.err());
        assertFalse(Files.exists(out));
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("refuses options that make no sense together, in one line,")
    @CsvSource({
        "--mode float16 --reduce-range, --reduce-range is for integers",
        "--mode static --max-drop 0.1, --max-drop is for --mode auto",
        "--bits 4, --bits 4 is for --mode weight-only",
        "--mode weight-only --bits 3, '--bits is 8 or 4, not 3'",
        "--mode weight-only --block-size 64, --block-size is for --bits 4",
        "--mode weight-only --rounding gptq, --rounding is for --bits 4",
        "--mode weight-only --bits 4 --rounding up, '--rounding is gptq or nearest, not up'",
        "--mode weight-only --bits 4 --portable, --portable has no 4-bit integers",
        "--embeddings int4 --portable, --portable has no 4-bit integers",
        "--mode float16 --per-tensor, --per-tensor is for weights of 8 bits",
        "--embeddings int2, '--embeddings is float, int8 or int4, not int2'",
        "--mode static --journal j, --journal is for the search of --mode auto",
    })
    void refusesTogether(String options, String words) {
        CommandLineRun run = quantize(("--random " + options).split(" "));

        assertEquals(2, run.code(), run.err());
        assertTrue(run.err().contains(words), run.err());
        assertFalse(Files.exists(out));
    }

    @Test
    @DisplayName("replaces nothing without --force")
    void replacesNothing() throws IOException {
        Files.writeString(out, "mine");

        CommandLineRun run = quantize("--random");

        assertEquals(1, run.code());
        assertTrue(run.err().contains("--force"), run.err());
        assertEquals("mine", Files.readString(out));
    }

    @Test
    @DisplayName("saves a recipe and follows it, and refuses one beside a mode")
    void recipe() throws IOException {
        Path recipe = folder.resolve("recipe.yaml");
        CommandLineRun first =
                quantize(
                        "--random",
                        "--mode",
                        "static",
                        "--limit",
                        "8",
                        "--force",
                        "--save-recipe",
                        recipe.toString());
        byte[] found = Files.readAllBytes(out);

        CommandLineRun again =
                quantize("--random", "--limit", "8", "--force", "--recipe", recipe.toString());
        CommandLineRun both =
                quantize("--random", "--mode", "static", "--recipe", recipe.toString());

        assertEquals(0, first.code(), first.err());
        assertTrue(Files.readString(recipe).contains("mode: \"static\""));
        assertEquals(0, again.code(), again.err());
        assertTrue(again.out().contains("2 of 2 layers in integers"), again.out());
        assertEquals(found.length, Files.size(out));
        assertEquals(2, both.code());
        assertTrue(both.err().contains("leave out --mode"), both.err());
    }

    @Test
    @DisplayName("follows a recipe of halves without any data, and says which line of one is wrong")
    void recipeOfHalves() throws IOException {
        Path recipe = folder.resolve("recipe.yaml");
        CommandLineRun first =
                quantize("--mode", "float16", "--force", "--save-recipe", recipe.toString());
        byte[] found = Files.readAllBytes(out);

        CommandLineRun again = quantize("--force", "--recipe", recipe.toString());
        Files.writeString(recipe, "\nrouding: gptq\n", StandardOpenOption.APPEND);
        CommandLineRun wrong = quantize("--force", "--recipe", recipe.toString());

        assertEquals(0, first.code(), first.err());
        assertEquals(0, again.code(), again.err());
        assertTrue(again.out().contains("2 of 2 weights in 16 bits"), again.out());
        assertArrayEquals(found, Files.readAllBytes(out));
        assertEquals(1, wrong.code());
        assertTrue(wrong.err().contains("a recipe has no 'rouding'; it has"), wrong.err());
    }

    @Test
    @DisplayName(
            "keeps a journal where it is told to, refuses another model's, and leaves none else")
    void journal() throws IOException {
        Path journal = folder.resolve("j");
        String[] options = {"--random", "--limit", "8", "--force", "--journal", journal.toString()};
        CommandLineRun first = quantize(options);
        List<String> lines = Files.readAllLines(journal);
        Path own = folder.resolve("out.onnx.journal");
        Files.writeString(own, lines.getFirst().replaceAll("[0-9a-f]{64}", "0") + "\n");

        CommandLineRun again = quantize(options);
        CommandLineRun other =
                quantize("--random", "--limit", "4", "--force", "--journal", journal.toString());
        boolean leftAlone = Files.exists(own);
        Files.delete(folder.resolve("out.onnx"));
        CommandLineRun notMine = quantize("--random", "--limit", "8");
        boolean kept = Files.exists(own);
        CommandLineRun without = quantize("--random", "--limit", "8", "--force");

        assertEquals(0, first.code(), first.err());
        assertEquals(0, again.code(), again.err());
        assertEquals(lines, Files.readAllLines(journal));
        assertEquals(1, other.code());
        assertTrue(other.err().contains("is of another model, other data"), other.err());
        assertTrue(leftAlone);
        assertEquals(1, notMine.code());
        assertTrue(
                notMine.err()
                        .contains("other settings; delete it, name another file, or begin anew"),
                notMine.err());
        assertTrue(kept);
        assertEquals(0, without.code(), without.err());
        assertFalse(Files.exists(own));
    }

    @Test
    @DisplayName("writes nothing that has nothing to do with the model, unless it is forced to")
    void astray() throws IOException {
        model = OnnxFile.ofMatrixBeside(folder.resolve("ones.onnx"), "w.bin");
        String data = folder.resolve("x.npy").toString();
        var values = new float[8 * 64];
        for (int row = 0; row < 8; row++) {
            values[64 * row] = row % 2 == 0 ? 1.75e38f : -1.75e38f; // no float holds their range
        }
        try (var scope = new PointerScope()) {
            Npy.write(Path.of(data), Tensors.of(values, 8, 64));
        }

        CommandLineRun refused = quantize("--mode", "dynamic", "--calibration", data);
        boolean written = Files.exists(out);
        CommandLineRun forced = quantize("--mode", "dynamic", "--calibration", data, "--force");

        assertEquals(1, refused.code(), refused.out());
        assertTrue(refused.err().contains("would have little to do with"), refused.err());
        assertFalse(written);
        assertEquals(0, forced.code(), forced.err());
        assertTrue(forced.err().contains("WARNING: The results have little"), forced.err());
    }
}
