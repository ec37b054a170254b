package io.espalier.cli.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.quant.Quantization;
import io.espalier.train.Evaluator;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

@DisplayName("Compressing a network on a few digits")
class CompressDigitsTest {
    private static final Settings SMALL = new Settings(3, 2, 2, 512, 0.85, 128, 3);

    @TempDir Path directory;

    @Test
    @DisplayName("learns, prunes to the sparsity asked for, and makes a file a third as large")
    void wholeJob() {
        Dataset train = Mnist.train().take(2048);
        Dataset test = Mnist.test().take(200);
        var heard = new Recorder();

        List<Stage> stages = new CompressDigits(SMALL, train, test, directory, heard).run();

        assertEquals(List.of("float", "pruned", "int8"), stages.stream().map(Stage::name).toList());
        Stage full = stages.get(0);
        Stage pruned = stages.get(1);
        Stage int8 = stages.get(2);
        assertTrue(full.accuracy() > 0.5, full.toString());
        assertTrue(int8.accuracy() > 0.5, int8.toString());
        assertTrue(full.sparsity() < 0.01, full.toString());
        assertEquals(0.85, pruned.sparsity(), 0.005);
        assertTrue(int8.sparsity() >= pruned.sparsity() - 0.01, int8.toString());
        assertTrue(int8.bytes() <= 0.30 * full.bytes(), int8.toString());
        for (Stage stage : stages) {
            assertTrue(Files.exists(stage.file()), stage.toString());
            assertTrue(stage.latencyMillis() > 0, stage.toString());
        }
        assertEquals(List.of("Training", "Pruning", "Calibrating", "Measuring"), heard.parts);
        assertEquals(heard.promised, heard.steps);
        assertEquals(int8.accuracy(), accuracyOf(int8.file(), test));
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
