package io.espalier.demo;

import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** A directory that is removed with all it holds, at the latest when the process ends. */
public final class TemporaryDirectory implements AutoCloseable {
    private final Path path;
    private final Thread atExit = new Thread(this::remove);

    /**
     * Makes one where the system keeps temporary files.
     *
     * @throws EspalierException if it can't be made
     */
    public TemporaryDirectory() {
        try {
            path = Files.createTempDirectory("espalier-demo-");
        } catch (IOException e) {
            throw new EspalierException(
                    "No temporary directory can be made in "
                            + System.getProperty("java.io.tmpdir")
                            + ": "
                            + e.getMessage()
                            + ".",
                    e);
        }
        Runtime.getRuntime().addShutdownHook(atExit);
    }

    /** Where it is. */
    public Path path() {
        return path;
    }

    @Override
    public void close() {
        Runtime.getRuntime().removeShutdownHook(atExit);
        remove();
    }

    private void remove() {
        for (Path file : contents()) {
            try {
                Files.deleteIfExists(file);
            } catch (IOException e) {
                return; // what is left lies among the system's temporary files
            }
        }
    }

    /** What it holds, itself last. */
    private List<Path> contents() {
        try (Stream<Path> files = Files.walk(path)) {
            return files.sorted(Comparator.reverseOrder()).toList();
        } catch (IOException | UncheckedIOException e) {
            return List.of();
        }
    }
}
