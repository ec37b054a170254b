package io.espalier.cli;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.PairedTime;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.Importance;
import io.espalier.onnx.slim.OnnxSlimmer;
import io.espalier.onnx.slim.SlimResult;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.slim.Place;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/** Takes channels, heads and neurons out of an ONNX model. */
@Command(
        name = "slim",
        description =
                "Takes channels, heads and neurons out of an ONNX model, with all weights that"
                    + " compute and read them: it has fewer parameters and less to do. What goes"
                    + " with what is found from the graph. With --calibration, what stays makes up"
                    + " for what goes; 'finetune --teacher MODEL' brings results nearer still."
                    + " Size, speed and, on the data, accuracy are measured before it is written.",
        footer = {
            "",
            "Example: espalier slim ocr.onnx -o ocr-slim.onnx --ratio 0.75 --keep '*head*'"
                    + " --calibration lines/ --image-size 48x320 --channels 3 --mean 0.5 --std 0.5"
        })
final class Slim implements Runnable {
    /** Times of one model differ by as much from run to run. */
    private static final double NOISE = 0.98;

    private static final String SECOND_ORDER = "second-order";

    @Mixin ResultFile files;

    @Option(
            names = "--ratio",
            paramLabel = "SHARE",
            description =
                    "The share of the channels of every group that stays, above 0 and at most 1;"
                            + " wide layers keep multiples of 8 or 16.")
    @Nullable Double ratio;

    @Option(
            names = "--importance",
            paramLabel = "NAME",
            description =
                    "By what is chosen which go: second-order (what the layers that read them lose"
                        + " though what stays makes up for it), activation (what they give there),"
                        + " magnitude (their weights) or random (drawn from --seed); second-order"
                        + " if left out, or magnitude where there is no --calibration.")
    @Nullable String importance;

    @Option(
            names = "--pruned",
            description =
                    "Take out only what pruning has emptied: channels whose weights are zero, or"
                            + " that only zeros read. The results stay the same.")
    boolean pruned;

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
            names = "--explain",
            description = "Say what goes with what, and what stays for which reason.")
    boolean explain;

    @Mixin InputOptions inputs;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        require((ratio != null) != pruned, "Give --ratio, or --pruned.");
        require(
                ratio == null || (ratio > 0 && ratio <= 1),
                "--ratio is a share above 0 and at most 1, not " + ratio + ".");
        require(
                !pruned || (only.isEmpty() && keep.isEmpty() && !explain && importance == null),
                "--pruned takes what is empty; --only, --keep, --importance and --explain are for"
                        + " --ratio.");
        boolean given = inputs.data != null || inputs.random;
        OnnxInputs measured = given ? new OnnxInputs(inputs) : OnnxInputs.toMeasure(inputs);
        Importance by = importance(given ? Optional.of(measured.all()) : Optional.empty());
        files.requirePlace(inputs.files());
        try (var lock = files.lock()) {
            write(measured, given, by);
        }
    }

    private Importance importance(Optional<Inputs> data) {
        String name =
                importance == null ? (data.isPresent() ? SECOND_ORDER : "magnitude") : importance;
        return switch (name) {
            case SECOND_ORDER -> Importance.secondOrder(calibration(data));
            case "activation" -> Importance.activation(calibration(data));
            case "magnitude" -> Importance.magnitude();
            case "random" -> Importance.random(inputs.seed == null ? 0 : inputs.seed);
            default ->
                    throw new ParameterException(
                            spec.commandLine(),
                            "--importance is second-order, activation, magnitude or random, not "
                                    + Printable.line(name)
                                    + ".");
        };
    }

    private Inputs calibration(Optional<Inputs> data) {
        require(data.isPresent(), "--importance " + importance + " needs --calibration PATH.");
        return data.orElseThrow();
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), usage);
        }
    }

    private void write(OnnxInputs given, boolean isData, Importance by) {
        OnnxModel model = OnnxModel.load(files.model);
        files.requireApart(model);
        if (isData) {
            given.checkedFor(model);
        }
        OnnxModel slim;
        Optional<SlimResult> result = Optional.empty();
        if (ratio == null) {
            slim = OnnxSlimmer.removePruned(model);
        } else {
            result = Optional.of(slimmed(model, ratio, by));
            slim = result.get().model();
            if (!isData && importance == null) {
                inputs.warn(
                        "Without --calibration the channels of the smallest weights go, which"
                                + " costs more accuracy than needs be.");
            }
        }
        var slimmed =
                new Slimmed(
                        slim,
                        ModelCost.of(model),
                        ModelCost.of(slim),
                        SlimResult.time(model, slim, given.all()),
                        isData
                                ? OptionalDouble.of(SlimResult.drop(model, slim, given.all()))
                                : OptionalDouble.empty(),
                        result);
        objection(slimmed, model.byteSize());
        slim.save(files.out);
        report.print(() -> describe(slimmed), printer -> print(slimmed, printer));
    }

    /** What came of it. */
    private record Slimmed(
            OnnxModel model,
            ModelCost before,
            ModelCost after,
            PairedTime time,
            OptionalDouble drop,
            Optional<SlimResult> result) {
        List<Row> rows() {
            return result.map(SlimResult::rows).orElse(List.of());
        }
    }

    private SlimResult slimmed(OnnxModel model, double share, Importance by) {
        OnnxSlimmer slimmer =
                OnnxSlimmer.of(model)
                        .only(only.toArray(String[]::new))
                        .keep(keep.toArray(String[]::new));
        try (var progress = StageProgress.onStandardError()) {
            return slimmer.ratio(share).importance(by).progress(progress::at).run();
        }
    }

    private void objection(Slimmed slimmed, long bytes) {
        boolean isLess = slimmed.after().macs() < slimmed.before().macs();
        boolean slower = isLess && slimmed.time().speedup() < NOISE;
        boolean larger = slimmed.model().byteSize() > bytes;
        if (!files.force && (slower || larger)) {
            throw new EspalierException(
                    String.format(
                            Locale.ROOT,
                            "The result would be %s than %s (%.2f times its speed, %.3f of its"
                                    + " size). Nothing was written; --force writes it.",
                            slower ? "slower" : "larger",
                            files.model,
                            slimmed.time().speedup(),
                            (double) slimmed.model().byteSize() / bytes));
        }
    }

    private void print(Slimmed slimmed, PrintWriter printer) {
        if (explain) {
            String groups = slimmed.result().map(result -> result.groups().toString()).orElse("");
            printer.println(Printable.lines(groups));
        }
        if (!slimmed.rows().isEmpty()) {
            var table = new Table(2, "first weight", "chosen by", "group", "units", "left");
            for (Row row : slimmed.rows()) {
                table.row(
                        row.group().place().toString(),
                        row.by(),
                        Table.count(row.group().number()),
                        Table.count(row.group().units().size()),
                        Table.count(row.left()));
            }
            table.lines().forEach(printer::println);
            printer.println();
        }
        PairedTime time = slimmed.time();
        new Table(1, "model", "file", "parameters", "MACs", "ms a run", "speed")
                .row(row(files.model, slimmed.before(), time.reference(), 1))
                .row(row(files.out, slimmed.after(), time.candidate(), time.speedup()))
                .lines()
                .forEach(printer::println);
        slimmed.drop()
                .ifPresent(drop ->
                        printer.printf(
                                Locale.ROOT,
                                "%nCosine to the model that came in %.5f on the calibration"
                                        + " data.%n",
                                1 - drop));
    }

    private static String[] row(Path file, ModelCost cost, double millis, double speedup) {
        return new String[] {
            file.toString(),
            Table.megabytes(Table.fileBytes(file)),
            Table.count(cost.parameters()),
            Table.count(cost.macs()),
            String.format(Locale.ROOT, "%.3f", millis),
            String.format(Locale.ROOT, "%.2f x", speedup)
        };
    }

    private Map<String, Object> describe(Slimmed slimmed) {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", describe(files.model, slimmed.before()));
        description.put("out", describe(files.out, slimmed.after()));
        description.put("latency_ms_before", slimmed.time().reference());
        description.put("latency_ms_after", slimmed.time().candidate());
        description.put("speedup", slimmed.time().speedup());
        slimmed.drop().ifPresent(drop -> description.put("drop", drop));
        description.put("groups", slimmed.rows().stream().map(Slim::describe).toList());
        return description;
    }

    private static Map<String, Object> describe(Path file, ModelCost cost) {
        var description = new LinkedHashMap<String, Object>();
        description.put("file", file.toString());
        description.put("bytes", Table.fileBytes(file));
        description.put("parameters", cost.parameters());
        description.put("macs", cost.macs());
        return description;
    }

    private static Map<String, Object> describe(Row row) {
        var description = new LinkedHashMap<String, Object>();
        description.put("group", row.group().number());
        description.put("units", row.group().units().size());
        description.put("left", row.left());
        description.put("by", row.by());
        description.put(
                "of",
                row.group().units().getFirst().slices().keySet().stream()
                        .map(Place::toString)
                        .toList());
        row.group().change().ifPresent(change -> description.put("changes", change));
        return description;
    }
}
