package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Prune;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

@DisplayName("The command inspect")
class InspectTest {
    @TempDir Path directory;

    @Test
    @DisplayName("shows a pruned parameter as one line with what its mask leaves out")
    void prunedModel() {
        var model = new Sequential(new Linear(10, 4), new ReLU(), new Linear(4, 2));
        Prune.l1Unstructured(model.module("0"), "weight", 10L);
        model.save(directory.resolve("model.safetensors"));

        CommandLineRun run = inspect("model.safetensors");

        assertEquals(0, run.code(), run.err());
        assertTrue(
                run.out()
                        .lines()
                        .anyMatch(line ->
                                line.matches(
                                        "0\\.weight +masked +F32 +\\[4, 10] +40 +320 +25\\.00 %")),
                run.out());
        assertFalse(run.out().contains("weight_orig"), run.out());
        assertTrue(run.out().contains("54 parameters, 18.52 % of them zero"), run.out());
    }

    @Test
    @DisplayName("describes the same as one line of JSON")
    void json() throws IOException {
        Path file = directory.resolve("model.safetensors");
        SafeTensors.write(
                file,
                Map.of("bn.running_mean", Tensors.zeros(3), "w", Tensors.of(0f, -0f, 2f, 3f)),
                Map.of());

        CommandLineRun run = CommandLineRun.of("inspect", "--json", file.toString());

        assertEquals(1, run.out().lines().count());
        JsonNode json = JsonMapper.builder().build().readTree(run.out());
        assertEquals(4, json.get("parameters").intValue());
        assertEquals(0.5, json.get("sparsity").doubleValue());
        assertEquals(Files.size(file), json.get("bytes").longValue());
        assertEquals("buffer", kindOf(json, "bn.running_mean"));
        assertEquals("parameter", kindOf(json, "w"));
    }

    private static String kindOf(JsonNode json, String name) {
        return json.get("tensors")
                .valueStream()
                .filter(tensor -> tensor.get("name").stringValue().equals(name))
                .findFirst()
                .orElseThrow()
                .get("kind")
                .stringValue();
    }

    @ParameterizedTest
    @DisplayName("counts the zeros of every element type, minus zero among them")
    @EnumSource(
            names = {"Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte"})
    void everyType(ScalarType type) {
        Tensor values = Tensors.of(0f, -0f, 1f, 0f, 5f).to(type);
        SafeTensors.write(directory.resolve("t.safetensors"), Map.of("t", values), Map.of());

        CommandLineRun run = inspect("t.safetensors");

        assertTrue(run.out().contains("60.00 %"), run.out());
    }

    @Test
    @DisplayName("reads a tensor that is larger than one window")
    void largeTensor() {
        int count = (1 << 20) + 7;
        float[] values = new float[count];
        Arrays.fill(values, 0, count - 3, 1f);
        SafeTensors.write(
                directory.resolve("t.safetensors"), Map.of("t", Tensors.of(values)), Map.of());

        CommandLineRun run =
                CommandLineRun.of(
                        "inspect", "--json", directory.resolve("t.safetensors").toString());

        JsonNode json = JsonMapper.builder().build().readTree(run.out());
        assertEquals(3.0 / count, json.get("sparsity").doubleValue());
    }

    @Test
    @DisplayName("prints the tree of a saved model, before and after quantization")
    void tree() {
        var model = new Sequential(new Linear(3, 2), new ReLU());
        model.save(directory.resolve("float.safetensors"));
        model.eval();
        Quantization.fuseModules(model, List.of("0", "1"));
        model.qconfig(QConfig.forBackend("qnnpack"));
        Quantization.prepare(model);
        model.call(Tensors.randn(8, 3));
        Quantization.convert(model);
        Quantization.save(model, directory.resolve("int8.safetensors"));

        assertTrue(inspect("float.safetensors").out().startsWith("Sequential(\n  (0): Linear(in"));
        assertTrue(inspect("int8.safetensors").out().startsWith(model + System.lineSeparator()));
    }

    @Test
    @DisplayName("says in one line what is wrong with a file")
    void wrongFiles() throws IOException {
        Files.write(directory.resolve("cut"), new byte[] {100, 0, 0, 0, 0, 0, 0, 0, '{'});
        Files.writeString(
                directory.resolve("foreign"), "Dear diary, today I learned about headers.");
        Files.createDirectory(directory.resolve("folder"));

        for (String name : new String[] {"missing", "cut", "foreign", "folder"}) {
            CommandLineRun run = inspect(name);

            assertEquals(1, run.code(), name);
            assertEquals("", run.out(), name);
            assertEquals(1, run.err().lines().count(), run.err());
            assertTrue(run.err().contains(directory.resolve(name).toString()), run.err());
        }
    }

    private CommandLineRun inspect(String name) {
        return CommandLineRun.of("inspect", directory.resolve(name).toString());
    }
}
