package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Npz;
import io.espalier.tensor.Tensors;

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
import java.util.Map;
import java.util.stream.Stream;

import javax.imageio.ImageIO;

@DisplayName("The command compare, of ONNX files")
class CompareOnnxTest {
    @TempDir Path folder;
    private Path one;
    private Path two;
    private Path lines;

    @BeforeEach
    void files() throws IOException {
        one = OnnxFile.ofImages(folder.resolve("one.onnx"), 1);
        two = OnnxFile.ofImages(folder.resolve("two.onnx"), 1.5f);
        lines = Files.createDirectory(folder.resolve("lines"));
        for (int i = 0; i < 3; i++) {
            var image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
            image.setRGB(0, 0, 0xFFFFFF);
            ImageIO.write(image, "png", lines.resolve(i + ".png").toFile());
        }
    }

    private CommandLineRun compare(Path reference, Path candidate, String... options) {
        return CommandLineRun.of(
                Stream.concat(
                                Stream.of("compare", reference.toString(), candidate.toString()),
                                Stream.of(options))
                        .toArray(String[]::new));
    }

    private CommandLineRun compareImages(String... more) {
        return compare(
                one,
                two,
                Stream.concat(
                                Stream.of("--data", lines.toString(), "--image-size", "4x6"),
                                Stream.of(more))
                        .toArray(String[]::new));
    }

    @Test
    @DisplayName("shows sizes, times, memory, and the errors of outputs and layers")
    void table() {
        CommandLineRun run = compareImages("--std", "0.5");

        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().contains("Errors over 3 inputs, times of a batch of 3:"), run.out());
        assertTrue(run.out().matches("(?s).*\ny +Relu +\\S+ +0\\.500 +1\\.000000\n.*"), run.out());
        assertTrue(run.out().contains("The 1 of 1 layers that are furthest apart:"), run.out());
        assertTrue(
                run.out().matches("(?s).*\nscaled +Mul +\\S+ +0\\.500 +1\\.000000\n.*"), run.out());
    }

    @Test
    @DisplayName("has all of it as JSON")
    void json() throws IOException {
        CommandLineRun run = compareImages("--json", "--batch", "2", "--threads", "1");

        JsonNode json = JsonMapper.builder().build().readTree(run.out());
        assertEquals(Files.size(one), json.get("reference").get("bytes").longValue());
        assertTrue(json.get("candidate").get("latency_ms").doubleValue() > 0, run.out());
        assertTrue(json.get("speedup").doubleValue() > 0, run.out());
        assertEquals(3, json.get("examples").intValue());
        assertEquals(2, json.get("batch").intValue());
        assertEquals(0.5, json.get("outputs").get(0).get("relative_error").doubleValue(), 1e-6);
        assertEquals("scaled", json.get("layers").get(0).get("name").stringValue());
        assertEquals("Mul", json.get("layers").get(0).get("made_by").stringValue());
    }

    @Test
    @DisplayName("leaves layers out when none are asked for")
    void noLayers() {
        CommandLineRun run = compareImages("--layers", "0");

        assertEquals(0, run.code(), run.err());
        assertTrue(!run.out().contains("layer"), run.out());
    }

    @Test
    @DisplayName("takes arrays, some of them, and random numbers with a warning")
    void otherInputs() {
        Path arrays = folder.resolve("a.npz");
        Npz.write(arrays, Map.of("image", Tensors.rand(5, 3, 4, 6)));

        CommandLineRun some =
                compare(one, two, "--data", arrays.toString(), "--limit", "4", "--batch", "2");
        CommandLineRun random =
                compare(one, two, "--random", "--image-size", "4x6", "--limit", "2", "--seed", "1");
        CommandLineRun named = compare(one, two, "--random", "--dimension", "image[3]=6");

        assertEquals(0, some.code(), some.err());
        assertTrue(some.out().contains("Errors over 4 inputs"), some.out());
        assertEquals("", some.err());
        assertEquals(0, random.code(), random.err());
        assertTrue(random.err().startsWith("espalier: WARNING: These inputs are random"));
        assertTrue(random.out().contains("Errors over 2 inputs"), random.out());
        assertEquals(0, named.code(), named.err());
    }

    @Test
    @DisplayName("says in one line what the model wants and what there is")
    void refusals() throws IOException {
        assertFails(
                1,
                "The model wants image: float [N, 3, 4, ?]. ",
                compare(one, two, "--data", lines.toString()));
        assertFails(
                1, "No PNG or JPEG", compare(one, two, "--data", emptyFolder(), "--limit", "1"));
        assertFails(1, "No file or folder", compare(one, two, "--data", "gone"));
        assertFails(
                1,
                "Random inputs need the size of 'image[3]'",
                compare(one, two, "--random", "--seed", "3"));
        Path text = Files.writeString(folder.resolve("lines.txt"), "a\n");
        Path tokenizer = Files.writeString(folder.resolve("tokenizer.json"), "{}");
        assertFails(
                1,
                "A tokenizer gives input_ids, attention_mask, token_type_ids, not image.",
                compare(one, two, "--data", text.toString(), "--tokenizer", text.toString()));
        Path tokens = OnnxFile.ofTokens(folder.resolve("tokens.onnx"));
        assertFails(
                1,
                "is no tokenizer.json that can be used",
                compare(
                        tokens,
                        tokens,
                        "--calibration",
                        text.toString(),
                        "--tokenizer",
                        tokenizer.toString()));
    }

    private String emptyFolder() throws IOException {
        return Files.createDirectory(folder.resolve("empty")).toString();
    }

    @Test
    @DisplayName("takes options that mean nothing for wrong use")
    void usage() throws IOException {
        assertFails(2, "--data PATH", compare(one, two));
        assertFails(2, "--random takes no --data.", compareImages("--random"));
        assertFails(2, "--batch is 1 or more, not 0.", compareImages("--batch", "0"));
        assertFails(2, "--limit is 1 or more, not -1.", compareImages("--limit", "-1"));
        assertFails(2, "--layers is 0 or more", compareImages("--layers", "-1"));
        assertFails(2, "--threads is 0 or more", compareImages("--threads", "-1"));
        assertFails(2, "--channels is 3 or 1, not 2.", compareImages("--channels", "2"));
        assertFails(
                2,
                "--image-size is HEIGHTxWIDTH, such as 224x224, not '48'.",
                compare(one, two, "--data", lines.toString(), "--image-size", "48"));
        assertFails(
                2,
                "--max-length means nothing to a folder of images.",
                compareImages("--max-length", "5"));
        assertFails(
                2,
                "--fit means nothing to random numbers.",
                compare(one, two, "--random", "--fit"));
        assertFails(
                2,
                "if it is text, give --tokenizer",
                compare(
                        one,
                        two,
                        "--data",
                        Files.writeString(folder.resolve("lines.txt"), "a\n").toString()));
        assertFails(
                2,
                "is one image; --data takes the folder of images.",
                compare(one, two, "--data", lines.resolve("0.png").toString()));
        Path graph = folder.resolve("graph.safetensors");
        assertFails(
                2,
                "beside an ONNX file that comes first",
                compare(graph, one, "--data", lines.toString()));
        assertFails(
                2,
                "A saved graph is run by libtorch",
                compare(one, graph, "--data", lines.toString(), "--runtime", "onnxruntime"));
        assertFails(
                2,
                "--limit is for ONNX files.",
                compare(graph, graph, "--data", lines.toString(), "--limit", "2"));
        assertFails(
                2,
                "--layers is for ONNX files.",
                compare(graph, graph, "--data", lines.toString(), "--layers", "2"));
    }

    private static void assertFails(int code, String named, CommandLineRun run) {
        assertEquals(code, run.code(), run.err());
        assertEquals("", run.out());
        assertEquals(code, run.err().lines().count(), run.err());
        assertTrue(run.err().contains(named), run.err());
    }
}
