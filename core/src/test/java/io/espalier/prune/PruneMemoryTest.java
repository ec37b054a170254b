package io.espalier.prune;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

class PruneMemoryTest {
    /** The process's resident memory, in KiB. */
    private static long resident() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmRSS:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }

    private static void train(Sequential model, Optimizer optimizer, Tensor x, int steps) {
        for (int step = 0; step < steps; step++) {
            try (var scope = new PointerScope()) {
                optimizer.zero_grad();
                Tensor y = model.call(x);
                Functional.mseLoss(y, Tensors.zeros(Tensors.shape(y))).backward();
                optimizer.step();
            }
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    @DisplayName("a thousand training steps with masks on leave the process as large as it was")
    void flat() throws IOException {
        var model =
                new Sequential(
                        new Conv2d(1, 8, 3), new ReLU(), new Flatten(), new Linear(8 * 100, 200));
        Prune.l1Unstructured(model.get(0), "weight", 0.5);
        Prune.l1Unstructured(model.get(3), "weight", 0.9);
        Optimizer optimizer = Optimizers.sgd(model.parameters(), 0.01, 0.9);
        Tensor x = Tensors.randn(4, 1, 12, 12);
        train(model, optimizer, x, 300);
        System.gc();
        long before = resident();

        train(model, optimizer, x, 1000);

        // A masked weight of this model that is not freed is 640 KiB a step; the heap itself may
        // grow a little.
        long grown = resident() - before;
        assertTrue(grown < 64 * 1024, "grew by " + grown + " KiB");
    }
}
