package io.espalier.cli;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

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
                    "Replace OUT if it is there, and OUT.journal if another search left it, and"
                            + " write what 'quantize' and 'optimize' refuse: a result that is"
                            + " larger or slower than MODEL.")
    boolean force;

    @Spec(Spec.Target.MIXEE)
    CommandSpec spec;

    /**
     * Refuses a place for the result before anything is computed.
     *
     * @param read what the command reads, by the option that names it
     * @throws EspalierException if it is a file that is read, or is there already and must not be
     *     replaced, or has weights beside it that another model may read, or can't be written
     */
    void requirePlace(Map<String, Path> read) {
        requirePlace(out, read);
    }

    /** The same of another file that is written. */
    void requirePlace(Path file, Map<String, Path> read) {
        Path weights = file.resolveSibling(file.getFileName() + ".data");
        WrittenPlace.requireOther(file, model);
        read.forEach((option, path) -> {
            if (WrittenPlace.isSame(file, path) || WrittenPlace.isSame(weights, path)) {
                throw new EspalierException(
                        file
                                + " would replace what "
                                + option
                                + " reads; name another file for the result.");
            }
        });
        read.values().stream()
                .filter(folder -> WrittenPlace.isReadFrom(folder, file))
                .findFirst()
                .ifPresent(folder -> {
                    throw new EspalierException(
                            "%s would be read as one of the inputs in %s; name another file for the result."
                                    .formatted(file, folder));
                });
        WrittenPlace.require(file);
        if (Files.exists(weights) && !Files.exists(file)) {
            throw new EspalierException(
                    weights
                            + " is there already and may hold another model's weights; name another"
                            + " file with -o.");
        }
        WrittenPlace.requireFree(file, force);
    }

    /**
     * Refuses a place that holds weights of a model that is read.
     *
     * @throws EspalierException if the result would take it
     */
    void requireApart(OnnxModel read) {
        Path weights = out.resolveSibling(out.getFileName() + ".data");
        for (Path file : read.externalFiles()) {
            if (WrittenPlace.isSame(out, file) || WrittenPlace.isSame(weights, file)) {
                throw new EspalierException(
                        file
                                + " holds weights of the model that is read; name another file for"
                                + " the result.");
            }
        }
    }

    /** Says on standard error what becomes of weights that are inputs. */
    void tellOfWeights(OnnxModel read) {
        if (read.weightInputs() > 0) {
            var err = spec.commandLine().getErr();
            err.printf(
                    "espalier: %s of the inputs of %s are weights, with a default; in %s they are"
                            + " constants, which no caller can give.%n",
                    Table.count(read.weightInputs()), model, out);
            err.flush();
        }
    }

    /**
     * Takes the place of the result, so that no other run writes to it until this one has ended.
     *
     * @throws EspalierException if another run has it
     */
    WriteLock lock() {
        return WriteLock.ofFile(out);
    }

    /**
     * Why a result isn't written that is worse than the model.
     *
     * @param slower or else larger
     * @param size as a share of the model's
     */
    static EspalierException noGain(Path model, boolean slower, double speedup, double size) {
        return new EspalierException(
                String.format(
                        Locale.ROOT,
                        "The result would be %s than %s (%.2f times its speed, %.3f of its size)."
                                + " Nothing was written; --force writes it.",
                        slower ? "slower" : "larger",
                        model,
                        speedup,
                        size));
    }
}
