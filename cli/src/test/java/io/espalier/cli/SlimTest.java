package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Npy;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;

import javax.imageio.ImageIO;

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
    @DisplayName(
            "takes nothing from layers to be kept, is refused where no others are left, and prints"
                    + " JSON")
    void keeps() {
        CommandLineRun kept = slim(model, "--ratio", "0.5", "--keep", "w0");
        boolean written = Files.exists(out);
        CommandLineRun run = slim(model, "--ratio", "0.5", "--json");

        assertEquals(1, kept.code(), kept.out());
        assertTrue(kept.err().contains("No layer is left to take channels from"), kept.err());
        assertFalse(written);
        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().startsWith("{\"model\":{\"file\":"), run.out());
        assertFalse(run.out().contains("stays"), run.out());
        String explained = slim(model, "--ratio", "0.5", "--json", "--explain", "--force").out();
        assertTrue(explained.contains("\"stays\":[{\"reason\":"), explained);
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
    @DisplayName("tries usual sizes where the model leaves them open, and keeps names on one line")
    void openSizes() {
        Path open = OnnxFile.ofAnySize(folder.resolve("open.onnx"));

        CommandLineRun empty = slim(open, "--pruned", "--force");
        CommandLineRun half =
                slim(open, "--ratio", "0.5", "--explain", "--dimension", "image[3]=8", "--force");

        assertEquals(0, empty.code(), empty.err());
        assertTrue(
                empty.err().contains("a usual size, image[2] = 224, image[3] = 224"), empty.err());
        assertEquals(0, half.code(), half.err());
        assertTrue(half.err().contains("image[2] = 224, image[3] = 8"), half.err());
        assertTrue(half.out().contains(" units of w\\u000a0"), half.out());
    }

    @Test
    @DisplayName("trains what is left for some minutes, to give what the model gave")
    void finetunes() {
        try (var scope = new PointerScope()) {
            Npy.write(folder.resolve("x.npy"), Tensors.randn(16, 3, 16, 16));
        }
        String[] options = {
            "--ratio", "0.5", "--importance", "random", "--calibration", folder + "/x.npy", "--json"
        };
        double untrained = drop(slim(model, options));
        List<String> more = new ArrayList<>(List.of(options));
        more.addAll(List.of("--finetune", "0.03", "--rounds", "2", "--force"));
        CommandLineRun tuned = slim(model, more.toArray(String[]::new));

        assertEquals(32, width(out));
        assertTrue(drop(tuned) < untrained, tuned.out());
        assertEquals(2, tuned.out().split("\"slimmed\":", -1).length - 1, tuned.out());
        assertTrue(tuned.out().contains("\"units\":64,\"left\":32"), tuned.out());
        assertFalse(Files.exists(folder.resolve("out.onnx.journal")));
    }

    @Test
    @DisplayName(
            "learns from labels, and keeps a journal that is named, which is of this work alone")
    void learnsFromLabels() throws IOException {
        for (int i = 0; i < 4; i++) {
            var image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
            image.setRGB(i, i, 0xffffff);
            ImageIO.write(image, "png", folder.resolve(i + ".png").toFile());
        }
        Path labels = folder.resolve("labels.tsv");
        Files.writeString(labels, "0.png\t0\n1.png\t1\n2.png\t0\n3.png\t1\n");
        Path classifier = OnnxFile.ofNeurons(folder.resolve("c.onnx"));
        Path journal = folder.resolve("journal");
        List<String> options =
                new ArrayList<>(
                        List.of("--ratio", "0.5", "--finetune", "0.01", "--force", "--json"));
        options.addAll(List.of("--calibration", folder.toString(), "--labels", labels.toString()));
        options.addAll(List.of("--journal", journal.toString()));
        CommandLineRun run = slim(classifier, options.toArray(String[]::new));
        options.addAll(List.of("--rounds", "2"));
        CommandLineRun other = slim(classifier, options.toArray(String[]::new));

        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().contains("\"metric\":\"accuracy\""), run.out());
        assertTrue(Files.exists(journal.resolve("tuned-1.onnx")));
        assertEquals(1, other.code());
        assertTrue(other.err().contains("or other settings"), other.err());
    }

    private static double drop(CommandLineRun run) {
        assertEquals(0, run.code(), run.err());
        return Double.parseDouble(run.out().replaceFirst("(?s).*\"drop\":([^,}]*).*", "$1"));
    }

    @ParameterizedTest
    @CsvSource({
        "--finetune 1, --finetune needs --calibration PATH.",
        "--lr 1, --lr is for --finetune MINUTES.",
        "--seed 3, '--seed is for --calibration, --random, --speedup and --importance random.'",
        "--rounds 2, --rounds is for --finetune MINUTES.",
        "--journal j, --journal is for --finetune MINUTES.",
        "--random --finetune 1 --rounds 0, 'There are from 1 to 100 rounds, not 0.'",
        "--random --finetune 0, 'Training takes some time above 0 minutes and at most 525600, a"
                + " year; not 0.0.'",
        "--random --finetune 1e400, 'Training takes some time above 0 minutes and at most 525600, a"
                + " year; not Infinity.'",
    })
    @DisplayName("trains on data alone, for some time")
    void refusesTraining(String options, String message) {
        List<String> all = new ArrayList<>(List.of("--ratio", "0.5"));
        all.addAll(List.of(options.split(" ")));
        CommandLineRun run = slim(model, all.toArray(String[]::new));

        assertEquals(2, run.code());
        assertTrue(run.err().contains(message), run.err());
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

    private Path images() {
        Path data = folder.resolve("x.npy");
        var values = new float[8 * 3 * 16 * 16];
        var random = new Random(2);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        try (var scope = new PointerScope()) {
            Npy.write(data, Tensors.of(values, 8, 3, 16, 16));
        }
        return data;
    }

    @Test
    @DisplayName("lets what stays make up for what goes, and says how far the results are")
    void makesUp() {
        String data = images().toString();
        CommandLineRun solved = slim(model, "--ratio", "0.75", "--data", data, "--force");
        assertEquals(0, solved.code(), solved.err());
        assertEquals(48, width(out));
        assertTrue(solved.out().matches("(?s).*w0\\[0\\] +second order.*"), solved.out());
        assertTrue(solved.out().contains("on the calibration data."), solved.out());
        assertFalse(solved.err().contains("WARNING"), solved.err());

        CommandLineRun few =
                slim(model, "--ratio", "0.9", "--data", data, "--limit", "3", "--force");
        assertTrue(few.err().contains("WARNING: The data have 3 different examples"), few.err());

        CommandLineRun plain = slim(model, "--ratio", "0.75", "--force", "--json");
        assertTrue(plain.err().contains("WARNING: Without --calibration"), plain.err());
        assertTrue(plain.out().contains("\"speedup\":"), plain.out());
        assertFalse(plain.out().contains("\"drop\":"), plain.out());
    }

    @Test
    @DisplayName("leaves a share of MACs, says what each group costs, and keeps to a bound")
    void keepsToBound() {
        String[] options = {"--macs", "0.5", "--data", images().toString(), "--json", "--force"};
        CommandLineRun run = slim(model, options);
        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().contains("\"cost_unit\":\"MACs\""), run.out());
        assertTrue(run.out().contains("\"cost_after\":"), run.out());
        assertTrue(
                run.out().matches("(?s).*\"target\":\\{[^}]*\"of\":\"MACs\"[^}]*}.*"), run.out());
        assertTrue(run.out().contains("\"steady\":"), run.out());
        assertEquals(32, width(out));

        out = folder.resolve("bound.onnx");
        CommandLineRun bound =
                slim(
                        model,
                        "--params",
                        "0.3",
                        "--max-drop",
                        "0.000001",
                        "--data",
                        images().toString());
        assertEquals(1, bound.code());
        assertTrue(bound.err().contains("more than --max-drop 0.000001."), bound.err());
        assertFalse(Files.exists(out));
    }

    @Test
    @DisplayName("goes by gradients or scales, and says where there are none")
    void goesByOthers() {
        String data = images().toString();
        CommandLineRun gradient =
                slim(
                        model,
                        "--ratio",
                        "0.5",
                        "--importance",
                        "gradient",
                        "--data",
                        data,
                        "--force");
        assertEquals(0, gradient.code(), gradient.err());
        assertEquals(32, width(out));
        assertTrue(gradient.out().matches("(?s).*w0\\[0\\] +gradient.*"), gradient.out());

        CommandLineRun scale = slim(model, "--ratio", "0.5", "--importance", "bn-scale", "--force");
        assertEquals(0, scale.code(), scale.err());
        assertTrue(scale.out().contains("magnitude: no batch normalization"), scale.out());
    }

    @Test
    @DisplayName("draws the same channels from the same seed")
    void draws() throws IOException {
        String[] options = {"--ratio", "0.5", "--importance", "random", "--seed", "3", "--force"};
        assertEquals(0, slim(model, options).code());
        byte[] first = Files.readAllBytes(out);
        assertEquals(0, slim(model, options).code());
        assertArrayEquals(first, Files.readAllBytes(out));
        options[5] = "4";
        assertEquals(0, slim(model, options).code());
        assertFalse(Arrays.equals(first, Files.readAllBytes(out)));
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("refuses wrong use, in one line,")
    @CsvSource({
        "--ratio 0.5 --importance l1, --importance is second-order",
        "--ratio 0.5 --importance second-order, needs --calibration",
        "--ratio 0.5 --importance gradient, --importance gradient needs --calibration PATH.",
        "--ratio 1.5, --ratio is a share",
        "--macs 0.5 --ratio 0.5, 'not --macs and --ratio'",
        "--keep w0, Give one of",
        "--macs 0, --macs is a share",
        "--speedup 0.5, --speedup is from 1 to 1000",
        "--speedup 1e308, --speedup is from 1 to 1000",
        "--max-drop 0.1, --max-drop needs --calibration",
        "--macs 0.5 --keep-blocks, --keep-blocks is for where blocks may go",
        "--ratio 0.5 --keep-blocks --random, --keep-blocks is for where blocks may go",
    })
    void refusesUse(String options, String words) {
        CommandLineRun run = slim(model, options.split(" ", -1));

        assertEquals(2, run.code(), run.err());
        assertTrue(run.err().contains(words), run.err());
        assertFalse(Files.exists(out));
    }
}
