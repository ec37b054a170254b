package io.espalier.cli;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.tune.FineTuner;
import io.espalier.onnx.tune.TunedModel;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/** Gives an ONNX model its accuracy back. */
@Command(
        name = "finetune",
        description =
                "Gives an ONNX model its accuracy back after pruning, or puts it into 8-bit"
                    + " integers and fits it there. Without labels it learns from the float model"
                    + " (--teacher): each layer is fitted to the teacher's by least squares on the"
                    + " inputs. What is zero in a weight stays zero.",
        footer = {
            "",
            "With --epochs or --minutes, gradients follow: against the teacher's results, or"
                + " against class numbers or texts (--labels, --characters). Normalizations keep"
                + " their running statistics.",
            "Example: espalier finetune ocr-sparse.onnx --teacher ocr.onnx -o ocr-tuned.onnx --data"
                    + " lines/ --image-size 48x320 --channels 3 --mean 0.5 --std 0.5"
        })
final class Finetune implements Runnable {
    @Mixin ResultFile files;

    @Option(
            names = "--teacher",
            paramLabel = "REF",
            description =
                    "The float model that MODEL was made of, to learn from; MODEL itself with"
                            + " --int8 or --qat if left out.")
    @Nullable Path teacher;

    @Option(
            names = "--int8",
            description =
                    "Put all layers that can be into 8-bit integers, each fitted to what the"
                            + " integer layers before it give.")
    boolean integers;

    @Option(
            names = "--qat",
            description =
                    "As --int8, and then train by gradients what was fitted, rounded as the"
                            + " integers are (quantization-aware training); what it makes no better"
                            + " stays as it was fitted.")
    boolean trainsIntegers;

    @Option(
            names = "--epochs",
            paramLabel = "N",
            description =
                    "Train on all inputs so often by gradients; if left out, as long as --minutes"
                        + " says, or 10 times with --labels or --qat, else not at all. The best on"
                        + " the inputs is kept, be it what there was before.")
    @Nullable Integer epochs;

    @Option(
            names = "--minutes",
            paramLabel = "M",
            description =
                    "Train by gradients for so many minutes, or end --epochs after them at the"
                            + " latest.")
    @Nullable Double minutes;

    @Option(
            names = "--lr",
            paramLabel = "RATE",
            description =
                    "The learning rate of training by gradients, in units of a channel's typical"
                        + " weight; 0.0002 if left out, or after short trials the best of 0.0002,"
                        + " 0.0006 and 0.002 where a teacher is followed for 5 minutes or more."
                        + " With --qat it is in units of a weight's integer, and 0.01 if left out.")
    @Nullable Double rate;

    @Option(
            names = "--checkpoint",
            paramLabel = "DIR",
            description = "Write what is reached to this folder from time to time.")
    @Nullable Path checkpoint;

    @Option(
            names = "--resume",
            description = "Go on from what an earlier run with the same options left there.")
    boolean resume;

    /** Whether there is something to go on from. */
    private boolean goesOn;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Threads of ONNX Runtime; all cores if left out.")
    @Nullable Integer threads;

    @Mixin InputOptions inputs;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        require(
                teacher == null || inputs.labels == null,
                "Give --teacher or --labels; one says what is right.");
        require(
                teacher != null || inputs.labels != null || integers || trainsIntegers,
                "Say what to learn from: --teacher REF, the float model, or --labels FILE.");
        require(
                rate == null
                        || epochs != null
                        || minutes != null
                        || inputs.labels != null
                        || trainsIntegers,
                "--lr is of training by gradients: add --epochs N, --minutes M, --labels FILE or"
                        + " --qat.");
        require(checkpoint != null || !resume, "--resume goes on from --checkpoint DIR.");
        Map<String, Path> read = inputs.files();
        if (teacher != null) {
            read.put("--teacher", teacher);
        }
        files.requirePlace(read);
        try (var lock = files.lock()) {
            write();
        }
    }

    private void write() {
        OnnxModel original = OnnxModel.load(files.model);
        files.requireApart(original);
        var given = new OnnxInputs(inputs);
        FineTuner tuner = tuner(original, given);
        // What is wrong with them, or has to be told of them, comes first.
        given.checkedToFit(original);
        long began = System.nanoTime();
        TunedModel tuned;
        try (var progress = StageProgress.onStandardError()) {
            tuned = tuner.progress(progress::at).tune(original, given.all());
        }
        tuned.model().save(files.out);
        double seconds = (System.nanoTime() - began) / 1e9;
        report.print(() -> describe(tuned, seconds), printer -> print(tuned, seconds, printer));
    }

    private FineTuner tuner(OnnxModel original, OnnxInputs given) {
        FineTuner learning =
                given.task()
                        .map(FineTuner::byLabels)
                        .orElseGet(() ->
                                FineTuner.distilling(teacher == null ? original : loaded(teacher)));
        return Usage.of(spec, () -> set(learning));
    }

    private OnnxModel loaded(Path file) {
        OnnxModel other = OnnxModel.load(file);
        files.requireApart(other);
        return other;
    }

    private FineTuner set(FineTuner learning) {
        FineTuner tuner = epochs == null ? learning : learning.epochs(epochs);
        tuner = minutes == null ? tuner : tuner.minutes(minutes);
        tuner = rate == null ? tuner : tuner.learningRate(rate);
        tuner = threads == null ? tuner : tuner.threads(threads);
        tuner = inputs.seed == null ? tuner : tuner.seed(inputs.seed);
        goesOn = resume && checkpoint != null && Files.exists(checkpoint);
        tuner = checkpoint == null ? tuner : tuner.checkpoints(checkpoint, resume);
        tuner = integers ? tuner.toIntegers() : tuner;
        return trainsIntegers ? tuner.trainingIntegers() : tuner;
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), usage);
        }
    }

    private void print(TunedModel tuned, double seconds, PrintWriter printer) {
        printer.printf(
                Locale.ROOT,
                "%s, %d steps by gradients, in %d:%02d.%n",
                fitted(tuned),
                tuned.steps(),
                (int) seconds / 60,
                (int) seconds % 60);
        if (tuned.steps() > 0 && !tuned.trainingHelped()) {
            printer.println(
                    "Gradients made nothing better: the weights are those from before them. Try"
                            + " another learning rate, or more epochs.");
        }
        if (tuned.dropBefore().isPresent()) {
            printer.printf(
                    Locale.ROOT,
                    "Cosine to the teacher's results on the data: %.5f before, %.5f now.%n",
                    1 - tuned.dropBefore().getAsDouble(),
                    1 - tuned.dropAfter().orElse(0));
        }
        tuned.score()
                .ifPresent(score ->
                        printer.printf(Locale.ROOT, "On the data: %s.%n", score.summary()));
        if (!tuned.frozen().isEmpty()) {
            printer.printf(
                    "Gradients left as they were: %s.%n",
                    Printable.line(String.join(", ", tuned.frozen())));
        }
        tuned.integers()
                .ifPresent(integer ->
                        printer.printf(
                                Locale.ROOT,
                                "%.2f times as fast as %s.%n",
                                integer.time().speedup(),
                                files.model));
        printer.printf(
                "%s: %s; %s: %s.%n",
                files.model,
                Table.megabytes(ModelFiles.bytes(files.model)),
                files.out,
                Table.megabytes(ModelFiles.bytes(files.out)));
    }

    /** What was done before gradients. */
    private String fitted(TunedModel tuned) {
        boolean before = goesOn && tuned.layersFitted() == 0;
        String floats = before ? "layers fitted before" : tuned.layersFitted() + " layers fitted";
        return tuned.integers()
                .map(integer ->
                        "%s%d of %d layers fitted in integers"
                                .formatted(
                                        tuned.layersFitted() == 0 ? "" : floats + ", ",
                                        integer.layers().stream()
                                                .filter(l -> l.precision().equals("int8"))
                                                .count(),
                                        integer.layers().size()))
                .orElse(floats);
    }

    private Map<String, Object> describe(TunedModel tuned, double seconds) {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", files.model.toString());
        description.put("out", files.out.toString());
        description.put("layers_fitted", tuned.layersFitted());
        description.put("steps", tuned.steps());
        description.put("training_helped", tuned.trainingHelped());
        description.put("seconds", seconds);
        description.put("drop_before", number(tuned.dropBefore()));
        description.put("drop_after", number(tuned.dropAfter()));
        tuned.score()
                .ifPresent(score -> {
                    description.put("metric", score.metric());
                    description.put("score_before", score.reference());
                    description.put("score_after", score.candidate());
                });
        description.put("frozen", tuned.frozen());
        tuned.integers()
                .ifPresent(integer -> {
                    description.put("speedup", integer.time().speedup());
                    description.put("layers", integer.layers());
                });
        description.put("bytes_before", ModelFiles.bytes(files.model));
        description.put("bytes_after", ModelFiles.bytes(files.out));
        return description;
    }

    private static @Nullable Double number(OptionalDouble value) {
        return value.isPresent() ? (Double) value.getAsDouble() : null;
    }
}
