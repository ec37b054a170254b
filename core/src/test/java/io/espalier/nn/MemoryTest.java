package io.espalier.nn;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

class MemoryTest {
    private static final Path STATUS = Path.of("/proc/self/status");

    private static long residentKilobytes() throws IOException {
        return Files.readAllLines(STATUS).stream()
                .filter(line -> line.startsWith("VmRSS:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }

    @Test
    @DisplayName("a thousand training steps with masks on leave the process as large as it was")
    void flat() throws IOException {
        assumeTrue(Files.exists(STATUS), "only Linux tells the process's size this way");
        Sequential model =
                new Sequential(
                        new Linear(256, 256),
                        new BatchNorm1d(256),
                        new ReLU(),
                        new Linear(256, 10));
        for (String path : new String[] {"0", "3"}) {
            Module layer = model.module(path);
            Tensor ones = Tensors.ones(Tensors.shape(layer.parameter("weight")));
            layer.storeAs("weight", "weight_orig");
            layer.addBuffer("weight_mask", ones);
            layer.parametrize("weight", new Mask("weight"));
        }
        var parameters = new TensorVector(model.parameters().toArray(Tensor[]::new));
        var optimizer = new SGD(parameters, new SGDOptions(0.01));
        Tensor x = Tensors.randn(128, 256);
        Tensor y = Tensors.randn(128, 10);
        // Each step makes more than a megabyte of tensors; what is kept of them would show.
        train(model, optimizer, x, y, 300);
        System.gc();
        long before = residentKilobytes();
        train(model, optimizer, x, y, 1000);
        System.gc();
        long grown = residentKilobytes() - before;
        assertTrue(grown < 100_000, "grew by " + grown + " kB");
    }

    private static void train(Module model, SGD optimizer, Tensor x, Tensor y, int steps) {
        for (int step = 0; step < steps; step++) {
            try (var scope = new PointerScope()) {
                optimizer.zero_grad();
                Functional.mseLoss(model.call(x), y).backward();
                optimizer.step();
            }
        }
    }
}
