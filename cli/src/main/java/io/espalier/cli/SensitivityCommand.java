package io.espalier.cli;

import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.LayerSensitivity;
import io.espalier.onnx.quant.LayerSensitivity.Entry;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Ranks an ONNX model's layers by what they cost in integers. */
@Command(
        name = "sensitivity",
        description =
                "Puts one layer of an ONNX model at a time into 8-bit integers, measures how far"
                        + " the results move, or with --labels what of the right results is lost,"
                        + " and ranks the layers: those that hurt most first.",
        footer = {
            "",
            "Example: espalier sensitivity ocr.onnx --data lines/ --image-size 48x320 --channels 3"
                    + " --mean 0.5 --std 0.5 --journal ocr.journal"
        })
final class SensitivityCommand implements Runnable {
    @Parameters(index = "0", paramLabel = "MODEL", description = "An ONNX file.")
    Path model;

    @Option(
            names = "--journal",
            paramLabel = "FILE",
            description =
                    "Keep what is measured in FILE, layer after layer; if FILE is there, go on from"
                            + " what it has.")
    @Nullable Path journal;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Threads that the models run with; all cores if left out.")
    @Nullable Integer threads;

    @Mixin InputOptions inputs;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        LayerSensitivity measuring = Usage.of(spec, this::measuring);
        var given = new OnnxInputs(inputs);
        OnnxModel original = OnnxModel.load(model);
        Optional<Task> task = given.task();
        // What is wrong with them, or has to be told of them, comes first.
        given.checkedFor(original);
        List<Entry> ranked = ranked(measuring, original, given, task);
        report.print(() -> describe(ranked), printer -> print(ranked, task, printer));
    }

    private LayerSensitivity measuring() {
        LayerSensitivity measuring = LayerSensitivity.measuring();
        measuring = threads == null ? measuring : measuring.threads(threads);
        return journal == null ? measuring : measuring.journal(journal);
    }

    private static List<Entry> ranked(
            LayerSensitivity measuring, OnnxModel original, OnnxInputs given, Optional<Task> task) {
        try (var display = new Display()) {
            LayerSensitivity shown = measuring.listener(display::show);
            return (task.isPresent() ? shown.judgedBy(task.get()) : shown)
                    .of(original, given.all());
        }
    }

    private Map<String, Object> describe(List<Entry> ranked) {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", model.toString());
        description.put("layers", ranked);
        return description;
    }

    /** Progress, whose total the first layer tells. */
    private static final class Display implements AutoCloseable {
        private @Nullable Progress progress;

        void show(Entry entry, int done, int all) {
            Progress shown = progress;
            if (shown == null) {
                shown = Progress.of("Measuring layers", all);
                progress = shown;
            }
            shown.step(Printable.line(entry.layer()));
        }

        @Override
        public void close() {
            if (progress != null) {
                progress.close();
            }
        }
    }

    private static void print(List<Entry> ranked, Optional<Task> task, PrintWriter printer) {
        if (ranked.isEmpty()) {
            printer.println("The model has no layer that could be in 8-bit integers.");
            return;
        }
        var table = new Table(2, "layer", "operators", "drop");
        for (Entry entry : ranked) {
            table.row(
                    Printable.line(entry.layer()),
                    Printable.line(entry.operators()),
                    String.format(Locale.ROOT, "%.6f", entry.drop()));
        }
        table.lines().forEach(printer::println);
        printer.printf(
                "%nDrop: %s, with this layer alone in integers.%n",
                task.isPresent()
                        ? "the part of the float model's right results ("
                                + task.get().metric()
                                + ") that is lost"
                        : "1 less the cosine of the results to the float model's");
    }
}
