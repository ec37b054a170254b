package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.nn.Sequential;
import io.espalier.prune.Prune;
import io.espalier.state.SafeTensors;
import io.espalier.state.StateFile;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

@DisplayName("The command compress")
class CompressTest {
    @TempDir Path folder;
    private Sequential model;
    private Path file;
    private Path out;

    @BeforeEach
    void model() {
        Libtorch.seed(1);
        model = new Sequential(new Linear(40, 50));
        Prune.l1Unstructured(model.get(0), "weight", 0.9);
        file = folder.resolve("m.safetensors");
        out = folder.resolve("m.small");
        model.save(file);
    }

    private CommandLineRun compress(String... options) {
        var arguments = new ArrayList<>(List.of("compress", file.toString(), "-o", out.toString()));
        arguments.addAll(List.of(options));
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    @Test
    @DisplayName("makes a small file of a pruned model, which loads as that does")
    void compresses() throws IOException {
        CommandLineRun run = compress();

        assertEquals(0, run.code(), run.err());
        assertTrue(Files.size(out) * 8 < Files.size(file));
        assertTrue(run.out().contains("2,050 parameters, 87.80 % of them zero"), run.out());
        var again = new Sequential(new Linear(40, 50));
        again.load(out);
        assertTrue(Tensors.equal(again.get(0).value("weight"), model.get(0).value("weight")));
    }

    @Test
    @DisplayName("stores fewer bits when asked, and says so as JSON")
    void fewerBits() throws IOException {
        compress();
        long lossless = Files.size(out);

        CommandLineRun run = compress("--bits", "4", "--force", "--json");

        assertEquals(0, run.code(), run.err());
        JsonNode json = new JsonMapper().readTree(run.out());
        assertEquals(Files.size(out), json.get("bytes_after").asLong());
        assertEquals(Files.size(file), json.get("bytes_before").asLong());
        assertTrue(Files.size(out) < lossless);
        assertEquals(0, compress("--share", "3", "--force").code());
        assertTrue(Files.size(out) < lossless);
    }

    @Test
    @DisplayName("says which weights an option leaves as they are")
    void otherTypes() {
        try (var scope = new PointerScope()) {
            SafeTensors.write(
                    file, Map.of("half", Tensors.randn(20, 30).to(ScalarType.Half)), Map.of());
        }

        CommandLineRun bits = compress("--bits", "8", "--force");
        CommandLineRun share = compress("--share", "3", "--force", "--json");

        assertTrue(
                bits.out().contains("such as half: --bits is for floats of 32 bits."), bits.out());
        assertTrue(share.out().contains("\"stored_as_they_are\":[]"), share.out());
    }

    @Test
    @DisplayName("refuses what can't be, in one line")
    void refuses() {
        assertEquals(2, compress("--bits", "5").code());
        assertEquals(2, compress("--bits", "8", "--share", "4").code());
        assertEquals(0, compress().code());
        assertTrue(compress().err().contains("is there already; --force replaces it"));
        StateFile.write(file, model.stateDict(), Map.of("espalier.quantized", "{}"));
        CommandLineRun run = compress("--force");
        assertEquals(1, run.code());
        assertTrue(run.err().contains("holds more than a model's state"), run.err());
    }

    @ParameterizedTest(name = "{0} 0")
    @ValueSource(strings = {"--bits", "--share"})
    @DisplayName("refuses a number that would have no effect")
    void refusesZero(String option) {
        CommandLineRun run = compress(option, "0");

        assertEquals(2, run.code());
        assertTrue(run.err().contains(option + " is "), run.err());
        assertFalse(Files.exists(out));
    }

    @Test
    @DisplayName("says that a file became larger")
    void larger() throws IOException {
        Files.write(file, new byte[] {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'});

        CommandLineRun run = compress("--force");

        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().contains("times more: it is too small to be compressed"), run.out());
    }
}
