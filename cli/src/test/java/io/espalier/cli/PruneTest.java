package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.model.OnnxModel;

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
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

@DisplayName("The command prune")
class PruneTest {
    @TempDir Path folder;
    private Path model;
    private Path out;

    @BeforeEach
    void model() {
        model = OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
        out = folder.resolve("out.onnx");
    }

    private CommandLineRun prune(String... options) {
        var arguments = new ArrayList<>(List.of("prune", model.toString(), "-o", out.toString()));
        arguments.addAll(List.of(options));
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    private long zeros(String weight) {
        long zeros = 0;
        for (float value :
                Objects.requireNonNull(OnnxModel.load(out).graph().constant(weight)).toFloats()) {
            zeros += value == 0 ? 1 : 0;
        }
        return zeros;
    }

    @Test
    @DisplayName("writes a model with zeros, and says how many each layer has")
    void writes() {
        CommandLineRun run = prune("--amount", "0.25", "--per-layer");

        assertEquals(0, run.code(), run.err());
        assertEquals(432, zeros("w0"));
        assertEquals(9216, zeros("w1"));
        assertTrue(run.out().contains("c1/Conv  Conv       36,864  9,216   25.00 %"), run.out());
        assertTrue(run.out().contains("all"), run.out());
    }

    @Test
    @DisplayName("keeps n of m, and leaves what it is told to")
    void groups() {
        CommandLineRun run = prune("--n-m", "1:4", "--keep", "w0");

        assertEquals(0, run.code(), run.err());
        assertEquals(0, zeros("w0"));
        assertEquals(27648, zeros("w1"));
        assertTrue(run.out().contains("kept as asked"), run.out());
    }

    @Test
    @DisplayName("stores zeros sparse when asked, in a smaller file of the same weights")
    void sparse() throws IOException {
        assertEquals(0, prune("--amount", "0.9").code());
        long whole = Files.size(out);
        long zeros = zeros("w1");
        CommandLineRun run = prune("--amount", "0.9", "--sparse-storage", "--force");

        assertEquals(0, run.code(), run.err());
        assertTrue(Files.size(out) * 2 < whole);
        assertEquals(zeros, zeros("w1"));
    }

    @Test
    @DisplayName("says the same as JSON")
    void json() {
        CommandLineRun run = prune("--method", "random", "--seed", "4", "--json");

        assertEquals(0, run.code(), run.err());
        JsonNode found = JsonMapper.builder().build().readTree(run.out());
        assertEquals(0.5, found.get("sparsity").asDouble(), 1e-3);
        assertEquals(found.get("zeros").asLong(), zeros("w0") + zeros("w1"));
        assertEquals(2, found.get("layers").size());
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("refuses what can't be, in one line,")
    @CsvSource({
        "--amount 1.5, 2, a share from 0 to 1",
        "--method l3, 2, --method is l1 or random",
        "--n-m 2, 2, two numbers such as 2:4",
        "--n-m 5:4, 2, N:M sparsity keeps",
        "--n-m 2:4 --per-layer, 2, leave --per-layer out",
        "--n-m 2:4 --amount 0.5, 2, leave --amount out",
        "--n-m 2:4 --method random, 2, leave --method out",
        "--seed 3, 2, --seed is for --method random",
        "--keep none*, 1, No layer with a weight is named",
    })
    void refuses(String options, int code, String words) {
        CommandLineRun run = prune(options.split(" ", -1));

        assertEquals(code, run.code(), run.err());
        assertTrue(run.err().contains(words), run.err());
        assertFalse(Files.exists(out));
    }

    @Test
    @DisplayName("replaces nothing without --force")
    void replacesNothing() throws IOException {
        Files.writeString(out, "mine");

        CommandLineRun run = prune();

        assertEquals(1, run.code());
        assertEquals("mine", Files.readString(out));
        assertEquals(0, prune("--force").code());
    }
}
