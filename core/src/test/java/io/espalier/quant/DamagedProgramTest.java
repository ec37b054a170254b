package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.AvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.nn.Softmax;
import io.espalier.state.QuickFile;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Files of graphs whose programs were changed: such a number may end the process. */
@DisplayName("A saved graph with a changed")
class DamagedProgramTest {
    private static final Pattern NUMBERS = Pattern.compile("-?\\d+(\\.\\d+)?|true|false|null");
    private static final List<String> WRONG =
            List.of(
                    "0",
                    "-1",
                    "1000000",
                    "2147483648",
                    "9223372036854775807",
                    "1e308",
                    "null",
                    "true",
                    "\"x\"",
                    "[]",
                    "[0,0]",
                    "[2,2,2]");

    @TempDir Path directory;
    private int refused;
    private int ran;

    @Test
    @DisplayName("number in its program is refused, or computes")
    void numbers() {
        Libtorch.seed(5);
        Tensor x = Tensors.randn(1, 2, 8, 8);
        Module model =
                new Sequential(
                        new Conv2d(2, 4, 3),
                        new ReLU(),
                        new MaxPool2d(2),
                        new AvgPool2d(2),
                        new Flatten(),
                        new Linear(4, 3),
                        new Softmax(1));
        model.eval();
        Path file = directory.resolve("graph.safetensors");
        Quantization.save(Quantization.quantize(model, x, List.of(x)), file);
        SafeTensors.Contents whole = SafeTensors.read(file);
        String program = whole.metadata().getOrDefault("espalier.graph", "");
        Matcher number = NUMBERS.matcher(program);
        while (number.find()) {
            for (String wrong : WRONG) {
                String changed =
                        program.substring(0, number.start())
                                + wrong
                                + program.substring(number.end());
                run(file, whole, changed, model, x);
            }
        }
        assertTrue(refused > 50 && ran > 3, refused + " refused, " + ran + " ran");
    }

    private void run(
            Path file, SafeTensors.Contents whole, String program, Module model, Tensor x) {
        var metadata = new LinkedHashMap<>(whole.metadata());
        metadata.put("espalier.graph", program);
        QuickFile.write(file, whole.tensors(), metadata);
        try (var scope = new PointerScope()) {
            Module graph = Quantization.loadGraph(model, file);
            graph.eval();
            graph.call(x);
            ran++;
        } catch (EspalierException e) {
            refused++;
        }
    }
}
