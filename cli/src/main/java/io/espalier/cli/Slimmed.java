package io.espalier.cli;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.PairedTime;
import io.espalier.onnx.run.Scatter;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.SlimResult;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.onnx.tune.TunedSlim.Round;
import io.espalier.slim.Groups;
import io.espalier.slim.Place;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What came of a slimming, as it is printed.
 *
 * @param turns the times of both models, turn by turn
 * @param drop 1 less the cosine of their results on the data, if there are some
 * @param result how the widths were chosen, unless only what was empty went
 * @param rounds of slimming and training, if it was trained
 */
record Slimmed(
        OnnxModel model,
        ModelCost before,
        ModelCost after,
        List<PairedTime> turns,
        OptionalDouble drop,
        Optional<SlimResult> result,
        List<Round> rounds) {
    PairedTime time() {
        return PairedTime.least(turns);
    }

    private List<Row> rows() {
        return result.map(SlimResult::rows).orElse(List.of());
    }

    /**
     * Prints it.
     *
     * @param share what was to stay of what is counted, if that was the target
     * @param explain whether to say what goes with what
     */
    void print(
            Path from,
            Path to,
            Optional<SlimTarget.Share> share,
            boolean explain,
            PrintWriter printer) {
        if (explain) {
            result.map(r -> r.groups().lines()).orElse(List.of()).stream()
                    .map(Printable::line)
                    .forEach(printer::println);
            printer.println();
        }
        if (!rows().isEmpty()) {
            table().lines().forEach(printer::println);
            printer.println();
        }
        if (!rounds.isEmpty()) {
            roundTable().lines().forEach(printer::println);
            printer.println();
        }
        PairedTime time = time();
        new Table(1, "model", "file", "parameters", "MACs", "ms a run", "speed")
                .row(row(from, before, time.reference(), 1))
                .row(row(to, after, time.candidate(), time.speedup()))
                .lines()
                .forEach(printer::println);
        if (!Scatter.isSmall(turns)) {
            printer.println(OnnxComparison.BUSY);
        }
        share.filter(s -> !s.isMet())
                .ifPresent(s ->
                        printer.printf(
                                Locale.ROOT,
                                "%nOf the %s %.3f are left, where %.3f were to stay: groups keep"
                                        + " whole channels, wide ones multiples of 8 or 16.%n",
                                s.of(),
                                s.left(),
                                s.wanted()));
        drop.ifPresent(cosine ->
                printer.printf(
                        Locale.ROOT,
                        "%nCosine to the model that came in %.5f on the calibration" + " data.%n",
                        1 - cosine));
    }

    private Table table() {
        boolean spent = rows().stream().anyMatch(row -> row.spent().isPresent());
        String unit = result.map(SlimResult::unit).orElse("");
        List<String> heads =
                new ArrayList<>(List.of("first weight", "chosen by", "group", "units", "left"));
        if (spent) {
            heads.addAll(List.of(unit, "after", "error"));
        }
        var table = new Table(2, heads.toArray(String[]::new));
        for (Row row : rows()) {
            List<String> cells =
                    new ArrayList<>(
                            List.of(
                                    row.group().place().toString(),
                                    row.by(),
                                    Table.count(row.group().number()),
                                    Table.count(row.group().units().size()),
                                    Table.count(row.left())));
            if (spent) {
                cells.add(row.spent().map(s -> cost(s.before(), unit)).orElse(""));
                cells.add(row.spent().map(s -> cost(s.after(), unit)).orElse(""));
                cells.add(row.spent().map(s -> cost(s.error(), "ms")).orElse(""));
            }
            table.row(cells.toArray(String[]::new));
        }
        return table;
    }

    private Table roundTable() {
        var table =
                new Table(
                        0,
                        "round",
                        "parameters",
                        "MACs",
                        "measured by",
                        "slimmed",
                        "trained",
                        "steps");
        for (int i = 0; i < rounds.size(); i++) {
            Round round = rounds.get(i);
            table.row(
                    Integer.toString(i + 1),
                    Table.count(round.parameters()),
                    Table.count(round.macs()),
                    round.metric(),
                    String.format(Locale.ROOT, "%.5f", round.slimmed()),
                    String.format(Locale.ROOT, "%.5f", round.tuned()),
                    Table.count(round.steps()));
        }
        return table;
    }

    /** Times in fractions, what is counted whole. */
    private static String cost(double cost, String unit) {
        return unit.equals("ms")
                ? String.format(Locale.ROOT, "%.4f", cost)
                : Table.count(Math.round(cost));
    }

    private static String[] row(Path file, ModelCost cost, double millis, double speedup) {
        return new String[] {
            file.toString(),
            Table.megabytes(ModelFiles.bytes(file)),
            Table.count(cost.parameters()),
            Table.count(cost.macs()),
            String.format(Locale.ROOT, "%.3f", millis),
            String.format(Locale.ROOT, "%.2f x", speedup)
        };
    }

    /** The same for programs. */
    Map<String, Object> describe(
            Path from, Path to, Optional<SlimTarget.Share> share, boolean explain) {
        PairedTime time = time();
        var description = new LinkedHashMap<String, Object>();
        description.put("model", describe(from, before));
        description.put("out", describe(to, after));
        description.put("latency_ms_before", time.reference());
        description.put("latency_ms_after", time.candidate());
        description.put("speedup", time.speedup());
        description.put("steady", Scatter.isSmall(turns));
        share.ifPresent(s ->
                description.put(
                        "target", Map.of("of", s.of(), "wanted", s.wanted(), "left", s.left())));
        drop.ifPresent(cosine -> description.put("drop", cosine));
        result.ifPresent(r -> description.put("cost_unit", r.unit()));
        description.put("rounds", rounds);
        description.put("groups", rows().stream().map(Slimmed::describe).toList());
        result.filter(r -> explain).ifPresent(r -> description.put("stays", stays(r.groups())));
        return description;
    }

    private static List<Map<String, Object>> stays(Groups groups) {
        List<Map<String, Object>> stays = new ArrayList<>();
        groups.pinnedByReason()
                .forEach((reason, places) -> {
                    var description = new LinkedHashMap<String, Object>();
                    description.put("reason", reason);
                    description.put("of", places.stream().map(Place::toString).toList());
                    stays.add(description);
                });
        return stays;
    }

    private static Map<String, Object> describe(Path file, ModelCost cost) {
        var description = new LinkedHashMap<String, Object>();
        description.put("file", file.toString());
        description.put("bytes", ModelFiles.bytes(file));
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
        row.spent()
                .ifPresent(spent -> {
                    description.put("cost_before", spent.before());
                    description.put("cost_after", spent.after());
                    description.put("error", spent.error());
                });
        row.group().change().ifPresent(change -> description.put("changes", change));
        return description;
    }
}
