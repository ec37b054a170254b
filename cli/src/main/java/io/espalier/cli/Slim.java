package io.espalier.cli;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.Importance;
import io.espalier.onnx.slim.OnnxSlimmer;
import io.espalier.onnx.slim.SlimResult;
import io.espalier.onnx.slim.Slimming;
import io.espalier.onnx.tune.FineTuner;
import io.espalier.onnx.tune.SlimTuning;
import io.espalier.onnx.tune.TunedSlim;
import io.espalier.onnx.tune.TunedSlim.Round;
import io.espalier.slim.PlainNumber;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/** Takes channels, heads and neurons out of an ONNX model. */
@Command(
        name = "slim",
        description =
                "Takes channels, heads and neurons out of an ONNX model, with all weights that"
                    + " compute and read them: it has fewer parameters and less to do. What goes"
                    + " with what is found from the graph. With --calibration, what stays makes up"
                    + " for what goes; --finetune brings results nearer still, without labels or"
                    + " with --labels. Size, speed and, on the data, accuracy are measured before"
                    + " it is written.",
        footer = {
            "",
            "Example: espalier slim ocr.onnx -o ocr-slim.onnx --ratio 0.75 --keep '*head*'"
                    + " --calibration lines/ --image-size 48x320 --channels 3 --mean 0.5 --std 0.5"
        })
final class Slim implements Runnable {
    /** Times of one model differ by as much from run to run. */
    private static final double NOISE = 0.98;

    /** Biases of layers that had none take some bytes, which is worth it where a file is faster. */
    private static final double MUCH_LARGER = 1.01;

    private static final String SECOND_ORDER = "second-order";

    @Mixin ResultFile files;

    @Mixin SlimTarget target;

    @Option(
            names = "--importance",
            paramLabel = "NAME",
            description =
                    "By what is chosen which go: second-order (what the layers that read them lose"
                        + " though what stays makes up for it), activation (what they give there),"
                        + " gradient (what the results lose, or with --labels how much worse they"
                        + " are, to first order), bn-scale (the scales of their"
                        + " BatchNormalizations), magnitude (their weights) or random (drawn from"
                        + " --seed); second-order if left out, or magnitude where there is no"
                        + " --calibration.")
    @Nullable String importance;

    @Option(
            names = "--only",
            paramLabel = "PATTERN",
            description =
                    "Take only from layers whose node or weight has this name; * stands for"
                            + " anything. May be repeated.")
    List<String> only = List.of();

    @Option(
            names = "--keep",
            paramLabel = "PATTERN",
            description =
                    "Take nothing from layers whose node or weight has this name; * stands for"
                            + " anything. May be repeated.")
    List<String> keep = List.of();

    @Option(
            names = "--keep-blocks",
            description =
                    "Take channels only. Otherwise whole residual blocks may go too, where data say"
                            + " what is lost by them and a target other than --ratio is aimed at.")
    boolean keepBlocks;

    @Mixin SlimTraining training;

    @Option(
            names = "--explain",
            description = "Say what goes with what, and what stays for which reason.")
    boolean explain;

    @Mixin InputOptions inputs;

    /** Results this far off, as 1 less the cosine, are no use as they are. */
    private static final double FAR = 0.5;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        target.check(spec.commandLine());
        require(
                !target.pruned
                        || (only.isEmpty() && keep.isEmpty() && !explain && importance == null),
                "--pruned takes what is empty; --only, --keep, --importance and --explain are for"
                        + " other targets.");
        boolean given = inputs.data != null || inputs.random;
        OnnxInputs measured = given ? new OnnxInputs(inputs) : OnnxInputs.toMeasure(inputs);
        require(target.maxDrop == null || given, "--max-drop needs --calibration PATH.");
        require(
                given
                        || inputs.seed == null
                        || target.speedup != null
                        || "random".equals(importance),
                "--seed is for --calibration, --random, --speedup and --importance random.");
        training.check(given, target.pruned);
        Importance by = importance(measured, given);
        require(
                !keepBlocks || (target.isSearched() && by instanceof Importance.OnData),
                "--keep-blocks is for where blocks may go: with --calibration, by second-order or"
                        + " activation, and with another target than --ratio or --pruned.");
        files.requirePlace(training.read(inputs.files(), files.out));
        try (var lock = files.lock()) {
            write(measured, given, by);
        }
    }

    private Importance importance(OnnxInputs data, boolean given) {
        String name = importance == null ? (given ? SECOND_ORDER : "magnitude") : importance;
        boolean looks = List.of(SECOND_ORDER, "activation", "gradient").contains(name);
        require(given || !looks, "--importance " + name + " needs --calibration PATH.");
        return switch (name) {
            case SECOND_ORDER -> Importance.secondOrder(data.all());
            case "activation" -> Importance.activation(data.all());
            case "gradient" ->
                    data.task()
                            .map(task -> Importance.gradient(data.all(), task))
                            .orElseGet(() -> Importance.gradient(data.all()));
            case "bn-scale" -> Importance.batchNormScale();
            case "magnitude" -> Importance.magnitude();
            case "random" -> Importance.random(inputs.seed == null ? 0 : inputs.seed);
            default ->
                    throw new ParameterException(
                            spec.commandLine(),
                            "--importance is second-order, activation, gradient, bn-scale,"
                                    + " magnitude or random, not "
                                    + Printable.line(name)
                                    + ".");
        };
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), usage);
        }
    }

    private void write(OnnxInputs unsized, boolean isData, Importance by) {
        OnnxModel model = OnnxModel.load(files.model);
        files.requireApart(model);
        files.tellOfWeights(model);
        OnnxInputs given = unsized.sizedFor(model);
        if (by instanceof Importance.OnData || training.minutes != null) {
            given.checkedToFit(model);
        } else {
            given.checkedFor(model);
        }
        ModelCost before = SlimResult.cost(model, given.all());
        Optional<FineTuner> tuner =
                Usage.of(spec, () -> training.tuner(model, given.task(), inputs));
        Made made = target.pruned ? empty(model, tuner, given) : narrowed(model, tuner, by, given);
        if (!target.pruned && !isData && importance == null) {
            inputs.warn(
                    "Without --calibration the channels of the smallest weights go, which"
                            + " costs more accuracy than needs be.");
        }
        var slimmed =
                new Slimmed(
                        made.model(),
                        before,
                        SlimResult.cost(made.model(), given.all()),
                        SlimResult.turns(model, made.model(), given.all()),
                        isData
                                ? OptionalDouble.of(
                                        SlimResult.drop(model, made.model(), given.all()))
                                : OptionalDouble.empty(),
                        made.result(),
                        made.rounds());
        require(slimmed, model.byteSize());
        Optional<SlimTarget.Share> share = target.share(slimmed, model.byteSize());
        made.model().save(files.out);
        training.end(files.out);
        if (slimmed.drop().orElse(0) > FAR) {
            inputs.warn(
                    "The results have little in common with those of the model that came in; leave"
                            + " more of it, or train it.");
        }
        report.print(
                () -> slimmed.describe(files.model, files.out, share, explain),
                printer -> slimmed.print(files.model, files.out, share, explain, printer));
    }

    /** A model, and how it was come to. */
    private record Made(OnnxModel model, Optional<SlimResult> result, List<Round> rounds) {}

    private Made empty(OnnxModel model, Optional<FineTuner> tuner, OnnxInputs given) {
        OnnxModel slim = OnnxSlimmer.removePruned(model);
        if (tuner.isEmpty()) {
            return new Made(slim, Optional.empty(), List.of());
        }
        try (var progress = StageProgress.onStandardError()) {
            OnnxModel tuned = tuner.get().progress(progress::at).tune(slim, given.all()).model();
            return new Made(tuned, Optional.empty(), List.of());
        }
    }

    private Made narrowed(
            OnnxModel model, Optional<FineTuner> tuner, Importance by, OnnxInputs given) {
        OnnxSlimmer slimmer =
                OnnxSlimmer.of(model)
                        .only(only.toArray(String[]::new))
                        .keep(keep.toArray(String[]::new));
        try (var progress = StageProgress.onStandardError()) {
            Slimming chosen =
                    target.of(slimmer).importance(by).timedOn(given.all()).progress(progress::at);
            Slimming slimming = keepBlocks ? chosen.keepBlocks() : chosen;
            if (tuner.isEmpty()) {
                SlimResult result = slimming.run();
                return new Made(result.model(), Optional.of(result), List.of());
            }
            SlimTuning tuning =
                    Usage.of(
                            spec, () -> training.of(slimming, tuner.get(), files.out, files.force));
            TunedSlim tuned = tuning.progress(progress::at).run(given.all());
            return new Made(tuned.slim().model(), Optional.of(tuned.slim()), tuned.rounds());
        }
    }

    private void require(Slimmed slimmed, long bytesBefore) {
        if (files.force) {
            return;
        }
        double drop = slimmed.drop().orElse(0);
        if (target.maxDrop != null && drop > target.maxDrop) {
            throw new EspalierException(
                    String.format(
                            Locale.ROOT,
                            "The results would be %s from those of %s, more than --max-drop %s."
                                    + " Nothing was written; --force writes it.",
                            PlainNumber.roundedUp(drop),
                            files.model,
                            PlainNumber.of(target.maxDrop)));
        }
        boolean isLess = slimmed.after().macs() < slimmed.before().macs();
        boolean slower = isLess && slimmed.time().speedup() < NOISE;
        boolean larger = slimmed.model().byteSize() > MUCH_LARGER * bytesBefore;
        if (slower || larger) {
            throw ResultFile.noGain(
                    files.model,
                    slower,
                    slimmed.time().speedup(),
                    (double) slimmed.model().byteSize() / bytesBefore);
        }
    }
}
