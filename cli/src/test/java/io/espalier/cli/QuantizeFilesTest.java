package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

import javax.imageio.ImageIO;

@DisplayName("The files of the command quantize")
class QuantizeFilesTest {
    @TempDir Path folder;
    private Path model;

    @BeforeEach
    void model() {
        model = OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
    }

    /** Runs with names of files in the folder in the place of words that begin with @. */
    private CommandLineRun quantize(String options) {
        var arguments = new ArrayList<>(List.of("quantize", model.toString()));
        Arrays.stream(options.split(" "))
                .map(word ->
                        word.startsWith("@") ? folder.resolve(word.substring(1)).toString() : word)
                .forEach(arguments::add);
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("are never replaced where they are read, --force or not,")
    @CsvSource({
        "--data @read",
        "--calibration @read",
        "--data @ --labels @read",
        "--data @ --labels @l.tsv --characters @read",
        "--data @t.txt --tokenizer @read",
        "--random --journal @read",
    })
    void keepsWhatIsRead(String options) throws IOException {
        Files.writeString(folder.resolve("read"), "mine");
        Files.createSymbolicLink(folder.resolve("link"), folder.resolve("read"));

        CommandLineRun direct = quantize("-o @read --force " + options);
        CommandLineRun linked = quantize("-o @link --force " + options);

        for (CommandLineRun run : List.of(direct, linked)) {
            assertEquals(1, run.code(), run.err());
            assertTrue(run.err().contains("would replace what --"), run.err());
        }
        assertEquals("mine", Files.readString(folder.resolve("read")));
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("that hold weights of a model that is read are never replaced:")
    @CsvSource({
        "quantize @beside.onnx --random --mode static -o @w.bin",
        "quantize @beside.onnx --random --mode static -o @w",
        "optimize @beside.onnx -o @w.bin",
        "prune @beside.onnx -o @w.bin",
        "slim @beside.onnx --ratio 0.5 -o @w.bin",
        "finetune @beside.onnx --random --int8 -o @w.bin",
        "finetune @m.onnx --teacher @beside.onnx --random -o @w.bin",
    })
    void keepsWeights(String line) throws IOException {
        String weights = line.endsWith(".bin") ? "w.bin" : "w.data";
        OnnxFile.ofMatrixBeside(folder.resolve("beside.onnx"), weights);
        byte[] before = Files.readAllBytes(folder.resolve(weights));
        if (weights.equals("w.data")) {
            Files.writeString(folder.resolve("w"), "");
        }

        CommandLineRun run =
                CommandLineRun.of(
                        Arrays.stream((line + " --force").split(" "))
                                .map(word ->
                                        word.startsWith("@")
                                                ? folder.resolve(word.substring(1)).toString()
                                                : word)
                                .toArray(String[]::new));

        assertEquals(1, run.code(), run.err());
        assertTrue(run.err().contains("holds weights of the model that is read"), run.err());
        assertArrayEquals(before, Files.readAllBytes(folder.resolve(weights)));
    }

    @Test
    @DisplayName("never become inputs that the next run reads")
    void keepsData() throws IOException {
        Path data = Files.createDirectory(folder.resolve("data"));
        Path array = Files.writeString(data.resolve("a.npz"), "mine");

        CommandLineRun there = quantize("--data @data -o @data/a.npz --force");
        CommandLineRun beside = quantize("--data @data -o @data/b.png");

        for (CommandLineRun run : List.of(there, beside)) {
            assertEquals(1, run.code(), run.err());
            assertTrue(run.err().contains("would be read as one of the inputs"), run.err());
        }
        assertEquals("mine", Files.readString(array));
    }

    @Test
    @DisplayName("stay as they are where a recipe that is followed is named for the result")
    void keepsRecipe() throws IOException {
        Path recipe = folder.resolve("r.yaml");
        quantize("--mode float16 --force -o @first.onnx --save-recipe @r.yaml");
        byte[] before = Files.readAllBytes(recipe);

        CommandLineRun run = quantize("--force -o @r.yaml --recipe @r.yaml");

        assertEquals(1, run.code());
        assertTrue(run.err().contains("would replace what --recipe reads"), run.err());
        assertArrayEquals(before, Files.readAllBytes(recipe));
    }

    @ParameterizedTest(name = "--save-recipe {0}")
    @DisplayName("are two for a result and its recipe, and the recipe's is no other either,")
    @CsvSource({
        "@out.onnx, -o",
        "@./out.onnx, -o",
        "@m.onnx, MODEL",
        "@out.onnx.journal, --journal",
    })
    void keepsRecipeApart(String saved, String other) throws IOException {
        CommandLineRun run = quantize("--random --force -o @out.onnx --save-recipe " + saved);

        assertEquals(2, run.code(), run.err());
        assertTrue(run.err().contains("--save-recipe and " + other + " name one file"), run.err());
        assertEquals(List.of("m.onnx"), names());
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("are looked for before anything is computed: there must be a folder for each,")
    @CsvSource({
        "-o @nodir/x.onnx, there is no folder",
        "-o @x.onnx --save-recipe @nodir/x.yaml, there is no folder",
        "-o @sub, it is a folder",
        "-o @x.onnx --save-recipe @sub, it is a folder",
    })
    void needFolders(String options, String words) throws IOException {
        Files.createDirectory(folder.resolve("sub"));

        CommandLineRun run = quantize("--data @none.npz --force " + options);

        assertEquals(1, run.code());
        assertTrue(run.err().contains(words), run.err());
        assertFalse(names().contains("x.onnx"));
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("are files, and no larger than journals and recipes are,")
    @CsvSource({
        "--random --journal @large, far too large",
        "--random --journal @, 'a folder, a pipe or a device'",
        "--recipe @large, far too large",
        "--recipe @, 'a folder, a pipe or a device'",
    })
    void areFiles(String options, String words) throws IOException {
        try (var large = new RandomAccessFile(folder.resolve("large").toFile(), "rw")) {
            large.setLength(3L << 30);
        }

        CommandLineRun run = quantize("-o @x.onnx " + options);

        assertEquals(1, run.code(), run.err());
        assertTrue(run.err().contains(words), run.err());
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("are images of finite pixels, not")
    @CsvSource({
        "--mean NaN, A mean must be finite",
        "--mean Infinity, A mean must be finite",
        "--std NaN, A deviation must be finite",
        "--std Infinity, A deviation must be finite",
    })
    void needFinitePixels(String options, String words) throws IOException {
        var image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
        ImageIO.write(image, "png", folder.resolve("a.png").toFile());

        CommandLineRun run = quantize("-o @x.onnx --data @ " + options);

        assertEquals(2, run.code(), run.err());
        assertTrue(run.err().contains(words), run.err());
    }
}
