package io.espalier.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Module;
import io.espalier.quant.Quantization;
import io.espalier.train.Evaluator;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

@DisplayName("Compressing a network on a few digits")
class CompressDigitsTest {
    private static final Settings SMALL = new Settings(3, 2, 2, 512, 0.85, 128, 1, 512, 0.4, 3);

    @TempDir Path directory;

    @Test
    @DisplayName("learns, prunes to the sparsity asked for, and makes a file a third as large")
    void wholeJob() {
        Dataset train = Mnist.train().take(2048);
        Dataset test = Mnist.test().take(200);
        var heard = new Recorder();

        List<Stage> stages = new CompressDigits(SMALL, train, test, directory, heard).run();

        assertEquals(
                List.of(
                        "float",
                        "pruned",
                        "float16",
                        "dynamic",
                        "int8",
                        "qat",
                        "slim",
                        "slim + int8"),
                stages.stream().map(Stage::name).toList());
        Stage full = stages.getFirst();
        double sparsity = stages.get(1).sparsity();
        assertTrue(full.sparsity() < 0.01, full.toString());
        assertEquals(0.85, sparsity, 0.005);
        for (Stage stage : stages.subList(2, 6)) {
            assertTrue(stage.sparsity() >= sparsity - 0.01, stage.toString());
            double largest = stage.name().equals("float16") ? 0.51 : 0.30;
            assertTrue(stage.bytes() <= largest * full.bytes(), stage.toString());
        }
        for (Stage stage : stages) {
            assertTrue(stage.accuracy() > 0.5, stage.toString());
            assertTrue(Files.exists(stage.file()), stage.toString());
            assertTrue(stage.latencyMillis() > 0, stage.toString());
        }
        Stage slim = stages.get(6);
        assertTrue(slim.macs() * 3 < full.macs(), slim.toString());
        assertTrue(slim.bytes() < 0.3 * full.bytes(), slim.toString());
        assertEquals(slim.macs(), stages.get(7).macs());
        assertTrue(stages.get(7).bytes() < 0.12 * full.bytes(), stages.get(7).toString());
        assertEquals(
                List.of(
                        "Training",
                        "Pruning",
                        "Calibrating",
                        "Training for int8",
                        "Slimming",
                        "Training the slim one",
                        "Measuring"),
                heard.parts);
        assertEquals(heard.promised, heard.steps);
        for (Stage stage : stages.subList(2, 6)) {
            assertEquals(stage.accuracy(), accuracyOf(stage.file(), test), stage.name());
        }
        assertEquals(List.of("QuantizedConvReLU2d", "QuantizedLinear"), kindsIn("qat"));
        assertEquals(List.of("Conv2d", "DynamicQuantizedLinear"), kindsIn("dynamic"));
    }

    /** What the first and the last layer of a stage are. */
    private List<String> kindsIn(String stage) {
        var model = new DigitNet();
        model.eval();
        Module loaded = Quantization.load(model, directory.resolve(CompressDigits.fileName(stage)));
        return Stream.of("conv1", "fc2")
                .map(path -> loaded.module(path).toString().replaceAll("(?s)\\(.*", ""))
                .toList();
    }

    private static double accuracyOf(Path file, Dataset test) {
        var model = new DigitNet();
        model.eval();
        return Evaluator.accuracy(test).evaluate(Quantization.load(model, file));
    }

    private static final class Recorder implements Listener {
        private final List<String> parts = new ArrayList<>();
        private long promised;
        private long steps;

        @Override
        public void begins(String work, long count) {
            parts.add(work);
            promised += count;
        }

        @Override
        public void step(String note) {
            steps++;
        }
    }
}
