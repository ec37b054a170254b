package io.espalier.cli;

import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.slim.Slimming;
import io.espalier.onnx.tune.FineTuner;
import io.espalier.onnx.tune.SlimTuning;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** How what slimming leaves is trained. */
final class SlimTraining {
    @Option(
            names = "--finetune",
            paramLabel = "MINUTES",
            description =
                    "Then train what is left on the calibration data by gradients for so many"
                            + " minutes: to give what MODEL gave, or what --labels say. The best is"
                            + " kept, be it what there was before.")
    @Nullable Double minutes;

    @Option(
            names = "--rounds",
            paramLabel = "N",
            description =
                    "Go to the target in N rounds, each of which takes its part and trains its"
                            + " share of --finetune; 1 if left out.")
    @Nullable Integer rounds;

    @Option(
            names = "--lr",
            paramLabel = "RATE",
            description =
                    "The learning rate of --finetune, in units of a channel's typical weight;"
                            + " 0.0002 if left out, or after short trials the best of 0.0002,"
                            + " 0.0006 and 0.002 in a round of 5 minutes or more without labels.")
    @Nullable Double rate;

    @Option(
            names = "--journal",
            paramLabel = "DIR",
            description =
                    "Keep what --finetune reaches in this folder; if it is there, go on from it."
                        + " OUT.journal if left out, which is deleted at the end: what was stopped"
                        + " goes on when it is started again.")
    @Nullable Path journal;

    @Spec(Spec.Target.MIXEE)
    CommandSpec command;

    /**
     * Refuses what means nothing without training, or without data to train on.
     *
     * @param isData whether there are some
     * @param pruned whether only what is empty goes, which has no parts
     */
    void check(boolean isData, boolean pruned) {
        require(minutes == null || isData, "--finetune needs --calibration PATH.");
        require(rate == null || minutes != null, "--lr is for --finetune MINUTES.");
        require(rounds == null || minutes != null, "--rounds is for --finetune MINUTES.");
        require(journal == null || minutes != null, "--journal is for --finetune MINUTES.");
        require(
                !pruned || (rounds == null && journal == null),
                "--pruned takes all that is empty at once; --rounds and --journal are for other"
                        + " targets.");
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw new ParameterException(command.commandLine(), usage);
        }
    }

    /** What is read, and the journal, by the options that name them. */
    Map<String, Path> read(Map<String, Path> read, Path out) {
        if (minutes != null) {
            read.put("--journal", place(out));
        }
        return read;
    }

    private Path place(Path out) {
        return journal == null ? out.resolveSibling(out.getFileName() + ".journal") : journal;
    }

    /**
     * What trains, if that is asked for.
     *
     * @param task what labels mean, where they say what is right
     */
    Optional<FineTuner> tuner(OnnxModel teacher, Optional<Task> task, InputOptions inputs) {
        if (minutes == null) {
            return Optional.empty();
        }
        FineTuner tuner =
                task.map(FineTuner::byLabels)
                        .orElseGet(() -> FineTuner.distilling(teacher))
                        .minutes(minutes);
        tuner = rate == null ? tuner : tuner.learningRate(rate);
        return Optional.of(inputs.seed == null ? tuner : tuner.seed(inputs.seed));
    }

    /** The slimming with training. */
    SlimTuning of(Slimming slimming, FineTuner tuner, Path out, boolean force) {
        SlimTuning tuning = SlimTuning.of(slimming, tuner).rounds(rounds == null ? 1 : rounds);
        return journal == null && force
                ? tuning.scratchJournal(place(out))
                : tuning.journal(place(out));
    }

    /** The result is there: a journal that nobody named is not needed any more. */
    void end(Path out) {
        if (minutes != null && journal == null) {
            SlimTuning.deleteJournal(place(out));
        }
    }
}
