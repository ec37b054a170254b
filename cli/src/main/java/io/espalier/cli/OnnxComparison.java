package io.espalier.cli;

import io.espalier.onnx.compare.ComparisonSettings;
import io.espalier.onnx.compare.ModelComparison;
import io.espalier.onnx.compare.ValueError;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.ModelRuntime;
import io.espalier.onnx.serve.CompressedModel;
import io.espalier.onnx.serve.ServingSettings;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** An ONNX file, and beside it another one or a saved graph. */
final class OnnxComparison {
    /** What is said of times that are not steady. */
    static final String BUSY =
            "The machine was busy with something else: times of one model lie far apart, so trust"
                    + " neither them nor the speed.";

    /** Below this part of the whole, an error but for shifts is shown beside it. */
    private static final double SHIFTED = 0.9;

    private final Path reference;
    private final Path candidate;
    private final boolean libtorch;
    private final InputOptions options;
    private final int layers;
    private final int threads;

    /**
     * @param libtorch whether that runs the candidate
     * @param layers how many are printed; none are compared for 0
     * @param threads one for each core for 0
     */
    OnnxComparison(
            Path reference,
            Path candidate,
            boolean libtorch,
            InputOptions options,
            int layers,
            int threads) {
        this.reference = reference;
        this.candidate = candidate;
        this.libtorch = libtorch;
        this.options = options;
        this.layers = libtorch ? 0 : layers;
        this.threads = threads;
    }

    void run(Report report) {
        var chosen = new OnnxInputs(options);
        OnnxModel first = OnnxModel.load(reference);
        InputBatches inputs = chosen.checkedFor(first);
        long steps = inputs.count().orElse(Progress.UNKNOWN);
        ModelComparison found;
        try (var progress =
                Progress.of("Comparing", layers == 0 || steps < 0 ? steps : 2 * steps)) {
            found = compared(first, inputs, progress::step, chosen.task());
        }
        long bytes = ModelFiles.bytes(reference);
        long candidateBytes = ModelFiles.bytes(candidate);
        report.print(
                () -> describe(found, bytes, candidateBytes),
                out -> print(found, bytes, candidateBytes, out));
    }

    private ModelComparison compared(
            OnnxModel first, InputBatches inputs, Runnable step, Optional<Task> task) {
        return libtorch
                ? ModelComparison.of(
                        first,
                        () -> CompressedModel.load(candidate, this::onLibtorch),
                        inputs,
                        how -> settings(how, step, task))
                : ModelComparison.of(
                        first, OnnxModel.load(candidate), inputs, how -> settings(how, step, task));
    }

    private ServingSettings onLibtorch(ServingSettings usual) {
        ServingSettings chosen = usual.runtime(ModelRuntime.LIBTORCH);
        return threads == 0 ? chosen : chosen.threads(threads);
    }

    private ComparisonSettings settings(
            ComparisonSettings usual, Runnable step, Optional<Task> task) {
        ComparisonSettings all = usual.afterBatch(step);
        all = task.isPresent() ? all.judgedBy(task.get()) : all;
        all = threads == 0 ? all : all.threads(threads);
        return layers == 0 ? all.withoutLayers() : all;
    }

    private void print(ModelComparison found, long bytes, long candidateBytes, PrintWriter out) {
        new Table(1, "model", "file", "of reference", "ms a batch", "speed", "memory")
                .row(
                        reference.toString(),
                        Table.megabytes(bytes),
                        "1.00",
                        Table.decimals(found.time().reference()),
                        "1.00 x",
                        memory(found.referenceMemory()))
                .row(
                        candidate.toString(),
                        Table.megabytes(candidateBytes),
                        Table.decimals((double) candidateBytes / bytes),
                        Table.decimals(found.time().candidate()),
                        Table.decimals(found.time().speedup()) + " x",
                        memory(found.candidateMemory()))
                .lines()
                .forEach(out::println);
        if (!found.steady()) {
            out.println(BUSY);
        }
        out.printf(
                "%nErrors over %s inputs, times of a batch of %s:%n%n",
                Table.count(found.examples()), Table.count(found.batch()));
        errors("output", found.outputs(), false).forEach(out::println);
        found.score().ifPresent(score -> out.printf("%nBy the labels: %s.%n", score.summary()));
        if (layers > 0) {
            out.println();
            printLayers(found.layers(), out);
        }
    }

    private void printLayers(List<ValueError> all, PrintWriter out) {
        if (all.isEmpty()) {
            out.println("No layer has one name, one shape and real numbers in both.");
            return;
        }
        List<ValueError> worst =
                all.stream()
                        .sorted(
                                Comparator.comparingDouble(ValueError::shiftFreeError)
                                        .thenComparingDouble(ValueError::relativeError)
                                        .reversed())
                        .limit(layers)
                        .toList();
        out.printf(
                "The %s of %s layers that are furthest apart:%n%n",
                Table.count(worst.size()), Table.count(all.size()));
        boolean shifted = worst.stream().anyMatch(OnnxComparison::isShifted);
        errors("layer", worst, shifted).forEach(out::println);
        if (shifted) {
            out.printf(
                    "%nBut for shifts: without what is added to each channel in all rows alike,"
                            + " which products after it make up for.%n");
        }
    }

    /** Whether much of an error is a shift of channels. */
    private static boolean isShifted(ValueError error) {
        return error.shiftFreeError() < SHIFTED * error.relativeError();
    }

    private static List<String> errors(String what, List<ValueError> errors, boolean shifted) {
        var heads = new ArrayList<>(List.of(what, "made by", "largest error", "relative error"));
        if (shifted) {
            heads.add("but for shifts");
        }
        heads.add("cosine");
        var table = new Table(2, heads.toArray(String[]::new));
        for (ValueError error : errors) {
            var cells =
                    new ArrayList<>(
                            List.of(
                                    error.name(),
                                    error.op(),
                                    String.format(Locale.ROOT, "%.3g", error.maxError()),
                                    String.format(Locale.ROOT, "%.3g", error.relativeError())));
            if (shifted) {
                cells.add(String.format(Locale.ROOT, "%.3g", error.shiftFreeError()));
            }
            cells.add(String.format(Locale.ROOT, "%.6f", error.cosine()));
            table.row(cells.toArray(String[]::new));
        }
        return table.lines();
    }

    private static String memory(OptionalLong bytes) {
        return bytes.isPresent()
                ? String.format(Locale.ROOT, "%.0f MB", bytes.getAsLong() / 1e6)
                : "unknown";
    }

    private Map<String, Object> describe(ModelComparison found, long bytes, long candidateBytes) {
        var description = new LinkedHashMap<String, Object>();
        description.put(
                "reference",
                describe(reference, bytes, found.time().reference(), found.referenceMemory()));
        description.put(
                "candidate",
                describe(
                        candidate,
                        candidateBytes,
                        found.time().candidate(),
                        found.candidateMemory()));
        description.put("speedup", found.time().speedup());
        description.put("steady", found.steady());
        description.put("examples", found.examples());
        description.put("batch", found.batch());
        found.score()
                .ifPresent(score -> {
                    description.put("metric", score.metric());
                    description.put("score_reference", score.reference());
                    description.put("score_candidate", score.candidate());
                });
        description.put("outputs", found.outputs().stream().map(OnnxComparison::describe).toList());
        description.put("layers", found.layers().stream().map(OnnxComparison::describe).toList());
        return description;
    }

    private static Map<String, Object> describe(
            Path file, long bytes, double millis, OptionalLong memory) {
        var description = new LinkedHashMap<String, Object>();
        description.put("file", file.toString());
        description.put("bytes", bytes);
        description.put("latency_ms", millis);
        memory.ifPresent(grown -> description.put("memory_bytes", grown));
        return description;
    }

    private static Map<String, Object> describe(ValueError error) {
        var description = new LinkedHashMap<String, Object>();
        description.put("name", error.name());
        description.put("made_by", error.op());
        description.put("max_error", error.maxError());
        description.put("relative_error", error.relativeError());
        description.put("shift_free_error", error.shiftFreeError());
        description.put("cosine", error.cosine());
        return description;
    }
}
