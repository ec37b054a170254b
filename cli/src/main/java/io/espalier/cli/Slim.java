package io.espalier.cli;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.OnnxSlimmer;
import io.espalier.slim.Group;
import io.espalier.slim.Place;
import io.espalier.slim.Unit;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Takes channels, heads and neurons out of an ONNX model. */
@Command(
        name = "slim",
        description =
                "Takes channels, heads and neurons out of an ONNX model, with all weights that"
                    + " compute and read them: it has fewer parameters and less to do. What goes"
                    + " with what is found from the graph; the results change, and 'finetune"
                    + " --teacher MODEL' brings them back nearer.",
        footer = {
            "",
            "Example: espalier slim ocr.onnx -o ocr-slim.onnx --ratio 0.75 --keep '*head*'"
        })
final class Slim implements Runnable {
    @Mixin ResultFile files;

    @Option(
            names = "--ratio",
            paramLabel = "SHARE",
            description =
                    "The share of the channels of every group that stays, above 0 and at most 1:"
                            + " those whose weights are largest.")
    @Nullable Double ratio;

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

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        require((ratio != null) != pruned, "Give --ratio, or --pruned.");
        require(
                ratio == null || (ratio > 0 && ratio <= 1),
                "--ratio is a share above 0 and at most 1, not " + ratio + ".");
        require(
                !pruned || (only.isEmpty() && keep.isEmpty() && !explain),
                "--pruned takes what is empty; --only, --keep and --explain are for --ratio.");
        files.requirePlace(Map.of());
        try (var lock = files.lock()) {
            write();
        }
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), usage);
        }
    }

    private void write() {
        OnnxModel model = OnnxModel.load(files.model);
        files.requireApart(model);
        Slimmed slimmed = ratio == null ? emptied(model) : least(model, ratio);
        slimmed.model().save(files.out);
        report.print(() -> describe(slimmed), printer -> print(slimmed, printer));
    }

    /** A group of the model, and how many of its units are left. */
    private record Row(Group group, long left) {}

    /** What came of it. */
    private record Slimmed(
            OnnxModel model, ModelCost before, ModelCost after, List<Row> rows, String groups) {}

    private static Slimmed emptied(OnnxModel model) {
        OnnxModel slim = OnnxSlimmer.removePruned(model);
        return new Slimmed(slim, ModelCost.of(model), ModelCost.of(slim), List.of(), "");
    }

    private Slimmed least(OnnxModel model, double share) {
        OnnxSlimmer slimmer =
                OnnxSlimmer.of(model)
                        .only(only.toArray(String[]::new))
                        .keep(keep.toArray(String[]::new));
        Set<Unit> gone = new HashSet<>(slimmer.leastImportant(share));
        OnnxModel slim = slimmer.remove(gone);
        List<Row> rows = new ArrayList<>();
        for (Group group : slimmer.groups().all()) {
            long left = group.units().stream().filter(unit -> !gone.contains(unit)).count();
            rows.add(new Row(group, left));
        }
        return new Slimmed(
                slim, ModelCost.of(model), ModelCost.of(slim), rows, slimmer.groups().toString());
    }

    private void print(Slimmed slimmed, PrintWriter printer) {
        if (explain) {
            printer.println(Printable.lines(slimmed.groups()));
        }
        if (!slimmed.rows().isEmpty()) {
            var table = new Table(1, "first weight", "group", "units", "left");
            for (Row row : slimmed.rows()) {
                table.row(
                        Printable.line(row.group().place().toString()),
                        Table.count(row.group().number()),
                        Table.count(row.group().units().size()),
                        Table.count(row.left()));
            }
            table.lines().forEach(printer::println);
            printer.println();
        }
        new Table(1, "model", "file", "parameters", "MACs")
                .row(row(files.model, slimmed.before()))
                .row(row(files.out, slimmed.after()))
                .lines()
                .forEach(printer::println);
    }

    private static String[] row(Path file, ModelCost cost) {
        return new String[] {
            file.toString(),
            Table.megabytes(Table.fileBytes(file)),
            Table.count(cost.parameters()),
            Table.count(cost.macs())
        };
    }

    private Map<String, Object> describe(Slimmed slimmed) {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", describe(files.model, slimmed.before()));
        description.put("out", describe(files.out, slimmed.after()));
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
        description.put(
                "of",
                row.group().units().getFirst().slices().keySet().stream()
                        .map(Place::toString)
                        .toList());
        row.group().change().ifPresent(change -> description.put("changes", change));
        return description;
    }
}
