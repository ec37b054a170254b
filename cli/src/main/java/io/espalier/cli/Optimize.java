package io.espalier.cli;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Optimization;
import io.espalier.onnx.repair.Pass;
import io.espalier.onnx.repair.Repair;
import io.espalier.tensor.EspalierException;

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
import java.util.stream.Collectors;

/** Cleans up an ONNX model's graph. */
@Command(
        name = "optimize",
        description =
                "Repairs an ONNX model's graph: the same results, never slower, never larger. The"
                    + " result is held against the model on random inputs before it is written.",
        footer = {
            "",
            "Passes, in the order in which they run: functions, constant-folding, no-operations,"
                + " common-subexpressions, shape-arithmetic, branches, zero-states, opset,"
                + " layer-normalization, gelu, hard-swish, sigmoid, fold-following, fold-preceding,"
                + " affine-layout, dead-channels, dead-code, shared-constants.",
            "Example: espalier optimize ocr.onnx -o ocr-fast.onnx --size x[2]=48 --size x[3]=320"
        })
final class Optimize implements Runnable {
    @Mixin ResultFile files;

    @Option(
            names = "--passes",
            split = ",",
            paramLabel = "NAME",
            description = "Only these passes, separated by commas; all if left out.")
    List<String> passes = List.of();

    @Option(
            names = "--size",
            paramLabel = "DIM=N",
            description =
                    "The size of a dimension that the model leaves open, for the inputs that it is"
                            + " tried with: by the model's name for it, or as input[number]; usual"
                            + " sizes are tried if left out. May be repeated.")
    Map<String, Integer> sizes = new LinkedHashMap<>();

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        List<Pass> chosen = Usage.of(spec, this::chosen);
        sizes.forEach(this::requireSize);
        files.requirePlace(Map.of());
        try (var lock = files.lock()) {
            write(chosen);
        }
    }

    private void requireSize(String dimension, int extent) {
        if (extent < 1) {
            throw new ParameterException(
                    spec.commandLine(),
                    "--size is 1 or more, not %d for '%s'."
                            .formatted(extent, Printable.line(dimension)));
        }
    }

    private List<Pass> chosen() {
        return passes.isEmpty() ? Repair.all() : passes.stream().map(Repair::pass).toList();
    }

    private void write(List<Pass> chosen) {
        OnnxModel original = OnnxModel.load(files.model);
        files.requireApart(original);
        Optimization found = Optimization.of(original, inOrder(chosen), sizes);
        found.objection()
                .filter(objection -> !files.force || !found.isSame())
                .ifPresent(objection -> {
                    throw new EspalierException(
                            objection
                                    + " Nothing was written"
                                    + (found.isSame() ? "; --force writes it." : "."));
                });
        found.repaired().model().save(files.out);
        report.print(() -> describe(found), printer -> print(found, printer));
    }

    /** Whatever order they were named in, passes run in theirs. */
    private static List<Pass> inOrder(List<Pass> chosen) {
        return Repair.all().stream().filter(chosen::contains).toList();
    }

    private void print(Optimization found, PrintWriter printer) {
        Map<String, Integer> changes = found.repaired().changes();
        if (changes.isEmpty()) {
            printer.println("There was nothing to repair.");
        } else {
            var table = new Table(1, "pass", "places");
            changes.forEach((pass, count) -> table.row(pass, Table.count(count)));
            table.lines().forEach(printer::println);
        }
        printer.println();
        new Table(1, "model", "file", "of model", "ms a run", "speed")
                .row(row(files.model, found, found.time().reference()))
                .row(row(files.out, found, found.time().candidate()))
                .lines()
                .forEach(printer::println);
        printer.printf(
                Locale.ROOT,
                "%nRun on random inputs %s: results differ by at most %.1e of their scale.%n",
                found.inputs().entrySet().stream()
                        .map(input -> Printable.line(input.getKey()) + " " + input.getValue())
                        .collect(Collectors.joining(", ")),
                found.error());
    }

    private String[] row(Path file, Optimization found, double millis) {
        long bytes = ModelFiles.bytes(file);
        return new String[] {
            file.toString(),
            Table.megabytes(bytes),
            decimals((double) bytes / ModelFiles.bytes(files.model)),
            decimals(millis),
            decimals(found.time().reference() / millis) + " x"
        };
    }

    private static String decimals(double number) {
        return String.format(Locale.ROOT, "%.3f", number);
    }

    private Map<String, Object> describe(Optimization found) {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", describe(files.model, found.time().reference()));
        description.put("out", describe(files.out, found.time().candidate()));
        description.put("passes", found.repaired().changes());
        description.put("speedup", found.time().speedup());
        description.put("max_error", found.error());
        description.put("inputs", found.inputs());
        return description;
    }

    private static Map<String, Object> describe(Path file, double millis) {
        var description = new LinkedHashMap<String, Object>();
        description.put("file", file.toString());
        description.put("bytes", ModelFiles.bytes(file));
        description.put("latency_ms", millis);
        return description;
    }
}
