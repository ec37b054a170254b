package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

import javax.imageio.ImageIO;

@DisplayName("A file that is not what an option takes")
class ForeignFilesTest {
    private static final String NO_TEXT = "it is no text in UTF-8.";

    @TempDir Path folder;

    @BeforeEach
    void files() throws IOException {
        OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
        OnnxFile.ofTokens(folder.resolve("tokens.onnx"));
        Path images = Files.createDirectory(folder.resolve("images"));
        ImageIO.write(
                new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB),
                "png",
                images.resolve("a.png").toFile());
        byte[] png = Files.readAllBytes(images.resolve("a.png"));
        for (String name : new String[] {"png", "png.onnx", "png.npz", "png.npy"}) {
            Files.write(folder.resolve(name), png);
        }
        Files.writeString(folder.resolve("labels"), "a.png\t1\n");
        Files.writeString(folder.resolve("words"), "a line\n");
        Files.writeString(folder.resolve("text.onnx"), "{\"a\": 1}\n");
        Files.writeString(folder.resolve("text.npz"), "");
        Files.writeString(folder.resolve("json"), "{\"a\": [1, 2]}\n");
        Files.write(
                folder.resolve("latin"), "gr\u00fcn\t1\n".getBytes(StandardCharsets.ISO_8859_1));
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("is refused in one sentence of ours:")
    @CsvSource({
        "inspect @png.onnx, is no ONNX model",
        "inspect @text.onnx, is no ONNX model",
        "compare @m.onnx @png.onnx --data @images, is no ONNX model",
        "finetune @m.onnx --teacher @png.onnx -o @o.onnx --data @images, is no ONNX model",
        "sensitivity @m.onnx --data @png.npz, is not an .npz file",
        "sensitivity @m.onnx --data @text.npz, is not an .npz file",
        "sensitivity @m.onnx --data @png.npy, is not NumPy's .npy format",
        "quantize @m.onnx -o @o.onnx --random --recipe @png, " + NO_TEXT,
        "quantize @m.onnx -o @o.onnx --random --recipe @latin, " + NO_TEXT,
        "quantize @m.onnx -o @o.onnx --random --recipe @json, a recipe has no 'a'",
        "quantize @m.onnx -o @o.onnx --random --recipe @images, it is a folder",
        "quantize @m.onnx -o @o.onnx --random --journal @png, is no journal",
        "sensitivity @m.onnx --data @images --labels @png, " + NO_TEXT,
        "sensitivity @m.onnx --data @images --labels @latin, " + NO_TEXT,
        "sensitivity @m.onnx --data @images --labels @images, it is a folder",
        "sensitivity @m.onnx --data @images --labels /dev/zero, it has more than 64 MB",
        "compare @m.onnx @m.onnx --data @images --labels @labels --characters @png, " + NO_TEXT,
        "compare @m.onnx @m.onnx --data @images --labels @labels --characters /dev/zero, more than",
        "compare @tokens.onnx @tokens.onnx --data @words --tokenizer @png, " + NO_TEXT,
        "compare @tokens.onnx @tokens.onnx --data @words --tokenizer @json, is no tokenizer.json",
        "compare @tokens.onnx @tokens.onnx --data @words --tokenizer @words, is no tokenizer.json",
        "compare @tokens.onnx @tokens.onnx --data @latin --tokenizer @json, " + NO_TEXT,
    })
    void foreign(String line, String words) {
        CommandLineRun run =
                CommandLineRun.of(
                        Arrays.stream(line.split(" "))
                                .map(word ->
                                        word.startsWith("@")
                                                ? folder.resolve(word.substring(1)).toString()
                                                : word)
                                .toArray(String[]::new));

        String last = run.err().lines().reduce((first, second) -> second).orElse("");
        assertEquals(1, run.code(), run.err());
        assertTrue(last.startsWith("espalier: ") && last.endsWith("."), run.err());
        assertTrue(last.contains(words), run.err());
        assertFalse(
                last.matches(".*([Ii]nput length|zip|rotocol|Exception|Unexpected|EOF).*"), last);
    }
}
