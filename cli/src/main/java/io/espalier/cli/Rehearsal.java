package io.espalier.cli;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.onnx.export.OnnxExport;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * Runs commands on a small network once, so that a cache can be made of what they load and of which
 * of it is used often; later starts begin from there.
 */
final class Rehearsal {
    private static final int CHANNELS = 16;
    private static final int SIZE = 24;
    private static final int CLASSES = 64;

    private Rehearsal() {}

    /** Runs the commands; what they print goes where this prints. */
    public static void main(String... args) throws IOException {
        Path folder = Files.createTempDirectory("espalier-rehearsal");
        try {
            Path model = folder.resolve("model.onnx");
            try (var scope = new PointerScope()) {
                var network = network();
                network.eval();
                OnnxExport.of(network, Tensors.randn(8, 3, SIZE, SIZE)).save(model);
            }
            run("--help");
            run("inspect", model.toString());
            run("quantize", model.toString(), "-o", folder + "/int8.onnx", "--random", "--force");
        } finally {
            delete(folder);
        }
    }

    private static Sequential network() {
        return new Sequential(
                new Conv2d(3, CHANNELS, 3, o -> o.padding(1).stride(2)),
                new BatchNorm2d(CHANNELS),
                new Hardswish(),
                new Conv2d(CHANNELS, CHANNELS, 3, o -> o.padding(1).groups(CHANNELS)),
                new BatchNorm2d(CHANNELS),
                new Hardswish(),
                new Conv2d(CHANNELS, 2 * CHANNELS, 1),
                new ReLU(),
                new Conv2d(2 * CHANNELS, CHANNELS, 3, o -> o.padding(1).stride(2)),
                new Hardswish(),
                new Flatten(),
                new Linear(CHANNELS * SIZE * SIZE / 16, CLASSES),
                new ReLU(),
                new Linear(CLASSES, CLASSES));
    }

    private static void run(String... args) {
        int code = Espalier.commandLine().execute(args);
        if (code != 0) {
            throw new IllegalStateException(
                    "%s ended with %d.".formatted(String.join(" ", args), code));
        }
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
