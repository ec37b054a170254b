package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Npz;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
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
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

import javax.imageio.ImageIO;

@DisplayName("The command compare")
class CompareTest {
    @TempDir Path directory;
    private Sequential model;
    private Tensor data;

    @BeforeEach
    void graphs() {
        Libtorch.seed(1);
        model =
                new Sequential(
                        new Conv2d(3, 4, 3), new ReLU(), new Flatten(), new Linear(4 * 36, 5));
        model.eval();
        data = Tensors.rand(10, 3, 8, 8);
        Npz.write(directory.resolve("data.npz"), Map.of("anything", data));
        save("right", data);
        save("narrow", data.narrow(0, 0, 1).mul(Tensors.of(0.2f)));
    }

    private void save(String name, Tensor calibration) {
        Quantization.save(
                Quantization.quantize(model, data, List.of(calibration)), directory.resolve(name));
    }

    private CommandLineRun compare(String one, String other, String... options) {
        String[] arguments = new String[options.length + 3];
        arguments[0] = "compare";
        arguments[1] = directory.resolve(one).toString();
        arguments[2] = directory.resolve(other).toString();
        System.arraycopy(options, 0, arguments, 3, options.length);
        return CommandLineRun.of(arguments);
    }

    private String path(String name) {
        return directory.resolve(name).toString();
    }

    @Test
    @DisplayName("finds no difference between a graph and itself, and some to another one")
    void differences() {
        CommandLineRun same = compare("right", "right", "--data", path("data.npz"));
        CommandLineRun other =
                compare("right", "narrow", "--data", path("data.npz"), "--batch", "4", "--json");

        assertEquals(0, same.code(), same.err());
        assertTrue(same.out().endsWith("\nOutputs of 10 examples: equal\n"), same.out());
        JsonNode json = JsonMapper.builder().build().readTree(other.out());
        assertEquals(10, json.get("examples").intValue());
        assertTrue(json.get("cosine").doubleValue() < 0.999, other.out());
        assertTrue(
                json.get("max_error").doubleValue() > json.get("mean_error").doubleValue(),
                other.out());
        assertTrue(json.get("candidate").get("bytes").longValue() > 0, other.out());
    }

    @Test
    @DisplayName("takes images, of the size and with the range that the graphs were made for")
    void images() throws IOException {
        Path folder = Files.createDirectories(directory.resolve("images/some"));
        ImageIO.write(
                new BufferedImage(11, 9, BufferedImage.TYPE_INT_RGB),
                "png",
                folder.resolve("1.png").toFile());

        CommandLineRun run =
                compare(
                        "right",
                        "right",
                        "--data",
                        path("images"),
                        "--image-size",
                        "8x8",
                        "--mean",
                        "0.5",
                        "--std",
                        "0.5,0.4,0.3");

        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().contains("Outputs of 1 examples: equal"), run.out());
    }

    @Test
    @DisplayName("takes doubles, as NumPy writes by itself")
    void doubles() {
        Npz.write(directory.resolve("doubles.npz"), Map.of("x", data.to(ScalarType.Double)));

        CommandLineRun run = compare("right", "right", "--data", path("doubles.npz"));

        assertEquals(0, run.code(), run.err());
    }

    @Test
    @DisplayName("says in one line what can't be compared")
    void refusals() {
        model.save(directory.resolve("float"));
        Npz.write(directory.resolve("flat.npz"), Map.of("x", Tensors.zeros(4, 7)));
        Npz.write(directory.resolve("none.npz"), Map.of("x", Tensors.zeros(0, 3, 8, 8)));

        assertFails("its program", "float", "right", "--data", path("data.npz"));
        assertFails("missing", "missing", "right", "--data", path("data.npz"));
        assertFails("", "right", "right", "--data", path("flat.npz"));
        assertFails("1 or more", "right", "right", "--data", path("none.npz"));
        assertFails("gone.npz", "right", "right", "--data", path("gone.npz"));
    }

    @Test
    @DisplayName("takes options that mean nothing for wrong use")
    void usage() {
        assertMisused("--batch is 1 or more, not 0.", "--batch", "0");
        assertMisused("--batch is 1 or more, not -1.", "--batch", "-1");
        assertMisused("--channels is 3 or 1, not 2.", "--channels", "2");
        assertMisused("the path is empty", "--data", "");
    }

    private void assertMisused(String named, String... options) {
        CommandLineRun run =
                compare(
                        "right",
                        "right",
                        Stream.concat(
                                        Stream.of(options),
                                        Stream.of(options).anyMatch("--data"::equals)
                                                ? Stream.of()
                                                : Stream.of("--data", path("data.npz")))
                                .toArray(String[]::new));

        assertEquals(2, run.code(), run.err());
        assertTrue(run.err().contains(named), run.err());
    }

    private void assertFails(String named, String one, String other, String... options) {
        CommandLineRun run = compare(one, other, options);

        assertEquals(1, run.code());
        assertEquals("", run.out());
        assertEquals(1, run.err().lines().count(), run.err());
        assertTrue(run.err().contains(named), run.err());
    }
}
