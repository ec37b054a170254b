package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
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

@DisplayName("The command finetune")
class FinetuneTest {
    @TempDir Path folder;
    private Path model;
    private Path pruned;
    private Path out;

    @BeforeEach
    void model() {
        model = OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
        pruned = folder.resolve("pruned.onnx");
        out = folder.resolve("out.onnx");
        CommandLineRun.of("prune", model.toString(), "-o", pruned.toString());
    }

    private CommandLineRun finetune(Path from, String... options) {
        var arguments = new ArrayList<>(List.of("finetune", from.toString(), "-o", out.toString()));
        arguments.addAll(List.of(options));
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    private static long zeros(Path file) {
        long zeros = 0;
        for (float value :
                Objects.requireNonNull(OnnxModel.load(file).graph().constant("w1")).toFloats()) {
            zeros += value == 0 ? 1 : 0;
        }
        return zeros;
    }

    @Test
    @DisplayName("brings a pruned model nearer to its teacher, zeros kept, and says how near")
    void fits() {
        CommandLineRun run =
                finetune(
                        pruned,
                        "--teacher",
                        model.toString(),
                        "--random",
                        "--limit",
                        "8",
                        "--epochs",
                        "1",
                        "--checkpoint",
                        folder.resolve("kept").toString(),
                        "--json");

        assertEquals(0, run.code(), run.err());
        JsonNode found = JsonMapper.builder().build().readTree(run.out());
        assertEquals(2, found.get("layers_fitted").asInt());
        assertEquals(1, found.get("steps").asInt());
        assertTrue(found.get("drop_after").asDouble() < found.get("drop_before").asDouble());
        assertEquals(zeros(pruned), zeros(out));
        assertTrue(Files.exists(folder.resolve("kept").resolve("training.safetensors")));
    }

    @Test
    @DisplayName("says that layers were fitted before only where there is something to go on from")
    void goesOnFromNothing() {
        String[] options = {
            "--teacher",
            model.toString(),
            "--random",
            "--limit",
            "8",
            "--epochs",
            "1",
            "--checkpoint",
            folder.resolve("new").toString(),
            "--resume",
            "--force"
        };

        CommandLineRun first = finetune(model, options);
        CommandLineRun second = finetune(model, options);

        assertTrue(first.out().contains("0 layers fitted, "), first.out() + first.err());
        assertTrue(second.out().contains("layers fitted before"), second.out() + second.err());
    }

    @Test
    @DisplayName("puts a model into integers with itself as the teacher")
    void integers() {
        CommandLineRun run = finetune(model, "--int8", "--random", "--limit", "8");

        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().contains("2 of 2 layers fitted in integers"), run.out());
        assertTrue(run.out().contains("Cosine to the teacher's results"), run.out());
        assertTrue(
                OnnxModel.load(out).graph().nodes().stream()
                        .anyMatch(node -> node.op().equals("QLinearConv")));
    }

    @Test
    @DisplayName("trains a model in integers, which is no further from the teacher then")
    void trainsIntegers() {
        CommandLineRun fitted = finetune(model, "--int8", "--random", "--limit", "8", "--json");
        CommandLineRun trained =
                finetune(
                        model,
                        "--qat",
                        "--epochs",
                        "3",
                        "--random",
                        "--limit",
                        "8",
                        "--force",
                        "--json");

        assertEquals(0, trained.code(), trained.err());
        JsonNode before = JsonMapper.builder().build().readTree(fitted.out());
        JsonNode after = JsonMapper.builder().build().readTree(trained.out());
        assertEquals(3, after.get("steps").asInt());
        assertTrue(after.get("drop_after").asDouble() <= before.get("drop_after").asDouble());
        assertTrue(
                OnnxModel.load(out).graph().nodes().stream()
                        .anyMatch(node -> node.op().equals("QLinearConv")));
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("refuses what can't be, in one line,")
    @CsvSource({
        "--random, 2, Say what to learn from",
        "--random --teacher TEACHER --labels l.tsv, 2, one says what is right",
        "--random --qat --characters c.txt, 2, --characters means nothing to random numbers",
        "--random --teacher TEACHER --resume, 2, --resume goes on from --checkpoint",
        "--random --teacher TEACHER --epochs -1, 2, Epochs are 0 or more",
        "--random --teacher TEACHER --epochs 1 --lr 0, 2, 'above 0 and at most 1000'",
        "--random --teacher TEACHER --epochs 1 --lr 1e308, 2, 'above 0 and at most 1000'",
        "--random --teacher TEACHER --lr 0.1, 2, --lr is of training by gradients",
        "--random --teacher TEACHER --minutes -2, 2, above 0 minutes",
        "--teacher TEACHER, 2, --data",
    })
    void refuses(String options, int code, String words) {
        CommandLineRun run =
                finetune(pruned, options.replace("TEACHER", model.toString()).split(" ", -1));

        assertEquals(code, run.code(), run.err());
        assertTrue(run.err().contains(words), run.err());
        assertFalse(Files.exists(out));
    }

    @Test
    @DisplayName("never replaces the teacher, by a link neither")
    void keepsTeacher() throws IOException {
        byte[] before = Files.readAllBytes(model);
        Files.createSymbolicLink(out, model);

        CommandLineRun run =
                finetune(
                        pruned,
                        "--teacher",
                        model.toString(),
                        "--random",
                        "--limit",
                        "8",
                        "--force");

        assertEquals(1, run.code());
        assertTrue(run.err().contains("would replace what --teacher reads"), run.err());
        assertArrayEquals(before, Files.readAllBytes(model));
    }

    @Test
    @DisplayName("says that it is the teacher that wants other data, and that a folder is a file")
    void otherTeacher() throws IOException {
        Path other = OnnxFile.ofMatrices(folder.resolve("matrices.onnx"));
        Path taken = Files.writeString(folder.resolve("taken"), "mine");

        CommandLineRun taught =
                finetune(model, "--teacher", other.toString(), "--random", "--limit", "2");
        CommandLineRun kept =
                finetune(
                        model,
                        "--teacher",
                        model.toString(),
                        "--random",
                        "--epochs",
                        "1",
                        "--checkpoint",
                        taken.toString());

        assertEquals(1, taught.code());
        assertTrue(taught.err().contains("The teacher can't take the model's data"), taught.err());
        assertEquals(1, kept.code());
        assertTrue(kept.err().contains("it is a file; name a folder"), kept.err());
    }
}
