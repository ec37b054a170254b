package io.espalier.cli;

import io.espalier.tensor.EspalierException;

import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The options of a command that makes an ONNX model of another: the one, and where it goes. */
final class ResultFile {
    @Parameters(index = "0", paramLabel = "MODEL", description = "An ONNX file.")
    Path model;

    @Option(
            names = {"-o", "--out"},
            required = true,
            paramLabel = "OUT",
            description = "The file to write.")
    Path out;

    @Option(
            names = "--force",
            description =
                    "Replace OUT if it is there, and write what 'quantize' and 'optimize' refuse: a"
                            + " result that is larger or slower than MODEL.")
    boolean force;

    /**
     * Refuses a place for the result before anything is computed.
     *
     * @throws EspalierException if it is the model itself, or is there already and must not be
     *     replaced, or has weights beside it that another model may read
     */
    void requirePlace() {
        requirePlace(out);
    }

    /** The same of another file that is written. */
    void requirePlace(Path file) {
        try {
            if (Files.exists(file) && Files.exists(model) && Files.isSameFile(file, model)) {
                throw new EspalierException(
                        file + " is the model itself; name another file for the result.");
            }
        } catch (IOException e) {
            throw new EspalierException(file + " can't be read: " + e.getMessage() + ".", e);
        }
        Path weights = file.resolveSibling(file.getFileName() + ".data");
        if (Files.exists(weights) && !Files.exists(file)) {
            throw new EspalierException(
                    weights
                            + " is there already and may hold another model's weights; name another"
                            + " file with -o.");
        }
        if (Files.exists(file) && !force) {
            throw new EspalierException(
                    file + " is there already; --force replaces it, -o names another file.");
        }
    }
}
