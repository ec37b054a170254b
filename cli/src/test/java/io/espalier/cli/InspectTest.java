package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.compress.Compressed;
import io.espalier.data.Dataset;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Prune;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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

    @Test
    @DisplayName("counts apart what a checkpoint keeps beside the model")
    void checkpoint() {
        var model = new Sequential(new Linear(10, 4), new BatchNorm1d(4));
        Path file = directory.resolve("checkpoint.safetensors");
        var data = Dataset.of(Tensors.randn(8, 10), Tensors.zeros(ScalarType.Long, 8));
        Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), 0.01))
                .checkpointEvery(1, file)
                .train(data, 1);

        CommandLineRun run = inspect("checkpoint.safetensors");

        assertTrue(run.out().contains("\n52 parameters, "), run.out());
        assertTrue(run.out().contains(" of the optimizer's state\n"), run.out());
        assertTrue(run.out().contains(" of the random generator's state\n"), run.out());
    }

    @Test
    @DisplayName(
            "shows what each step of a quantized graph costs, and counts its scales apart from its"
                    + " parameters")
    void settings() {
        var model = new Sequential(new Linear(3, 2), new ReLU());
        model.eval();
        Tensor x = Tensors.randn(8, 3);
        Path file = directory.resolve("graph.safetensors");
        Quantization.save(Quantization.quantize(model, x, List.of(x)), file);

        CommandLineRun run = inspect("graph.safetensors");

        assertTrue(
                run.out().lines().anyMatch(line -> line.matches("one call +8 +6 +[0-9,]+")),
                run.out());
        assertTrue(run.out().contains("\n8 parameters, "), run.out());
        assertTrue(run.out().contains(" of scales and zero points\n"), run.out());
    }

    @Test
    @DisplayName("shows names without the escape sequences that a file may hide in them")
    void escapeSequences() {
        SafeTensors.write(
                directory.resolve("t.safetensors"),
                Map.of("w\u001b[2J", Tensors.zeros(1)),
                Map.of("espalier.tree", "Net(\u009b2J\n)"));

        CommandLineRun run = inspect("t.safetensors");

        assertTrue(run.out().startsWith("Net(\\u009b2J\n)\n"), run.out());
        assertTrue(run.out().contains("\nw\\u001b[2J  parameter"), run.out());
        assertFalse(run.out().matches("(?s).*[\u001b\u009b].*"), run.out());
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
    @DisplayName("says of a device that it is no file, instead of reading it for ever")
    @EnabledOnOs(OS.LINUX)
    void device() {
        CommandLineRun run = CommandLineRun.of("inspect", "/dev/zero");

        assertEquals(1, run.code());
        assertTrue(run.err().contains("/dev/zero: it is a pipe or a device"), run.err());
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

    @Test
    @DisplayName("shows beside what a compressed file takes what its tensors take in memory")
    void compressed() throws IOException {
        var model = new Sequential(new Linear(10, 40));
        Prune.l1Unstructured(model.get(0), "weight", 0.75);
        Compressed.save(model, directory.resolve("model.small"));

        CommandLineRun run = inspect("model.small");

        assertEquals(0, run.code(), run.err());
        assertTrue(
                run.out()
                        .lines()
                        .anyMatch(line ->
                                line.matches(
                                        "0\\.weight +masked +F32 +\\[40, 10] +400 +\\d+ +3,200"
                                                + " +75\\.00 %")),
                run.out());
        assertTrue(run.out().contains("The tensors take 3,360 bytes in memory"), run.out());
        Path file = directory.resolve("model.small");
        JsonNode json =
                new JsonMapper()
                        .readTree(CommandLineRun.of("inspect", "--json", file.toString()).out());
        assertEquals(3360, json.get("dense_bytes").asInt());
        assertEquals(Files.size(file), json.get("bytes").asLong());
    }

    private CommandLineRun inspect(String name) {
        return CommandLineRun.of("inspect", directory.resolve(name).toString());
    }
}
