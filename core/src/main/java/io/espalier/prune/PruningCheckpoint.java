package io.espalier.prune;

import io.espalier.nn.Module;
import io.espalier.prune.PruningResult.Round;
import io.espalier.state.SafeTensors;
import io.espalier.state.StateFile;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * The one file that a run of iterative pruning needs to go on: the best model's state, and in its
 * metadata what the run has done so far. It is an ordinary model file as well.
 *
 * @param directory where the file lies
 */
record PruningCheckpoint(Path directory) {
    private static final String SETTINGS = "espalier.pruning.settings";
    private static final String BEFORE = "espalier.pruning.before";
    private static final String ROUND = "espalier.pruning.round.";

    /**
     * How far a run came.
     *
     * @param before the metric of the model as it was given
     * @param rounds the rounds completed
     */
    record Progress(double before, List<Round> rounds) {}

    private Path file() {
        return directory.resolve("best.safetensors");
    }

    /** Makes the directory, unless it is there. */
    void prepare() {
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't make the directory of checkpoints " + directory + ": " + e, e);
        }
    }

    /**
     * Writes the model and the progress in one step, also when the thread has been interrupted: an
     * interrupt would break the writing, so it is put off until the file is there.
     */
    void save(Map<String, org.bytedeco.pytorch.Tensor> state, String settings, Progress progress) {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("format", "pt");
        metadata.put(SETTINGS, settings);
        metadata.put(BEFORE, Double.toString(progress.before()));
        for (Round round : progress.rounds()) {
            metadata.put(
                    ROUND + round.number(),
                    round.sparsity() + " " + round.metric() + " " + round.kept());
        }
        boolean interrupted = Thread.interrupted();
        try {
            StateFile.write(file(), state, metadata);
        } catch (EspalierException e) {
            if (!Thread.interrupted()) {
                throw e;
            }
            interrupted = true;
            StateFile.write(file(), state, metadata);
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /**
     * What an earlier run left, if there is one.
     *
     * @throws EspalierException if it ran with other settings, or the file is none of a run
     */
    Optional<Progress> progress(String settings) {
        if (!Files.exists(file())) {
            return Optional.empty();
        }
        SequencedMap<String, String> metadata = SafeTensors.header(file()).metadata();
        String found = metadata.get(SETTINGS);
        if (!settings.equals(found)) {
            throw new EspalierException(
                    file()
                            + (found == null
                                    ? " is a model, but not of a run of iterative pruning"
                                    : " is of a run with other settings (" + found + ")")
                            + "; choose another directory, or move the file away.");
        }
        try {
            List<Round> rounds = new ArrayList<>();
            for (int number = 1; metadata.containsKey(ROUND + number); number++) {
                String[] fields = metadata.getOrDefault(ROUND + number, "").split(" ", -1);
                rounds.add(
                        new Round(
                                number,
                                Double.parseDouble(fields[0]),
                                Double.parseDouble(fields[1]),
                                Boolean.parseBoolean(fields[2])));
            }
            return Optional.of(
                    new Progress(Double.parseDouble(metadata.getOrDefault(BEFORE, "")), rounds));
        } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
            throw new EspalierException(
                    file() + " has damaged notes on its run; move the file away.", e);
        }
    }

    /** Puts the best model's state into the model. */
    void load(Module model) {
        model.load(file());
    }
}
