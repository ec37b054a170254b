package io.espalier.cli;

import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Where a command may write what it made of a model. */
final class ResultFile {
    private ResultFile() {}

    /**
     * Refuses a place before anything is computed.
     *
     * @throws EspalierException if it is the model itself, or is there already and must not be
     *     replaced, or has weights beside it that another model may read
     */
    static void requirePlace(Path out, Path model, boolean force) {
        try {
            if (Files.exists(out) && Files.exists(model) && Files.isSameFile(out, model)) {
                throw new EspalierException(
                        out + " is the model itself; name another file for the result.");
            }
        } catch (IOException e) {
            throw new EspalierException(out + " can't be read: " + e.getMessage() + ".", e);
        }
        Path weights = out.resolveSibling(out.getFileName() + ".data");
        if (Files.exists(weights) && !Files.exists(out)) {
            throw new EspalierException(
                    weights
                            + " is there already and may hold another model's weights; name another"
                            + " file with -o.");
        }
        if (Files.exists(out) && !force) {
            throw new EspalierException(
                    out + " is there already; --force replaces it, -o names another file.");
        }
    }
}
