package io.espalier.cli;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.shape.ModelProgram;
import io.espalier.onnx.shape.Shapes;
import io.espalier.onnx.shape.ValueType;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What an ONNX model consists of, and what it costs.
 *
 * @param shapes in any run
 * @param cost in a run with inputs of its extents
 */
record OnnxInspection(Path file, OnnxModel model, Shapes shapes, ModelCost cost) {
    private static final int LARGEST = 10;

    /**
     * Reads a model.
     *
     * @param inputs the extents of inputs to count its cost for
     * @throws EspalierException if a node takes what doesn't fit together
     */
    static OnnxInspection of(Path file, Map<String, List<Long>> inputs) {
        OnnxModel model = OnnxModel.load(file);
        Shapes shapes = Shapes.of(model);
        shapes.requireRunning(file);
        if (!inputs.isEmpty()) {
            Shapes.of(model, inputs).requireRunning(file);
        }
        return new OnnxInspection(file, model, shapes, ModelCost.of(model, inputs));
    }

    /** As a person reads it. */
    List<String> lines() {
        var lines = new ArrayList<String>();
        lines.add(Printable.line(head()));
        section(lines, values());
        section(lines, operators());
        section(lines, layers());
        lines.add("");
        lines.addAll(totals());
        return lines;
    }

    /** The program, each value with its type. */
    List<String> program() {
        return ModelProgram.of(model, shapes).stream().map(Printable::line).toList();
    }

    private static void section(List<String> lines, Table table) {
        lines.add("");
        lines.addAll(table.lines());
    }

    private String head() {
        String opsets =
                model.opsets().entrySet().stream()
                        .map(entry ->
                                entry.getKey().isEmpty()
                                        ? "opset " + entry.getValue()
                                        : entry.getKey() + " " + entry.getValue())
                        .collect(Collectors.joining(", "));
        return "ONNX model, "
                + opsets
                + ", IR "
                + model.irVersion()
                + (model.producer().isEmpty() ? "" : ", made by " + model.producer());
    }

    private Table values() {
        var table = new Table(3, "value", "kind", "type");
        row(table, model.graph().inputs(), "input");
        row(table, model.graph().outputs(), "output");
        return table;
    }

    private void row(Table table, List<ValueInfoProto> values, String kind) {
        for (ValueInfoProto value : values) {
            table.row(value.getName(), kind, shapes.type(value.getName()).toString());
        }
    }

    private Map<String, List<ModelCost.Row>> byOperator() {
        return cost.rows().stream()
                .collect(
                        Collectors.groupingBy(
                                row -> operator(row.node()), TreeMap::new, Collectors.toList()));
    }

    private static String operator(OnnxNode node) {
        return node.domain().isEmpty() ? node.op() : node.domain() + "." + node.op();
    }

    private Table operators() {
        var table = new Table(1, "operator", "nodes", "parameters", "MACs", "bytes moved");
        Map<String, ModelCost> sums = new LinkedHashMap<>();
        byOperator()
                .forEach((operator, rows) ->
                        sums.put(operator, new ModelCost(Map.of(), rows, Map.of())));
        sums.entrySet().stream()
                .sorted(
                        Comparator.comparingLong((Map.Entry<String, ModelCost> entry) ->
                                -entry.getValue().rows().size()))
                .forEach(entry ->
                        table.row(
                                entry.getKey(),
                                Table.count(entry.getValue().rows().size()),
                                Table.count(entry.getValue().parameters()),
                                Table.count(entry.getValue().macs()),
                                Table.count(entry.getValue().bytes())));
        return table;
    }

    private Table layers() {
        var table =
                new Table(
                        3,
                        "largest layers",
                        "operator",
                        "gives",
                        "parameters",
                        "MACs",
                        "bytes moved");
        cost.rows().stream()
                .sorted(
                        Comparator.comparingLong(ModelCost.Row::macs)
                                .thenComparingLong(ModelCost.Row::parameters)
                                .thenComparingLong(ModelCost.Row::bytes)
                                .reversed())
                .limit(LARGEST)
                .forEach(row ->
                        table.row(
                                row.node().name(),
                                operator(row.node()),
                                gives(row),
                                Table.count(row.parameters()),
                                Table.count(row.macs()),
                                Table.count(row.bytes())));
        return table;
    }

    private static String gives(ModelCost.Row row) {
        return row.results().stream().map(ValueType::toString).collect(Collectors.joining(", "));
    }

    private List<String> totals() {
        var lines = new ArrayList<String>();
        lines.add(
                "%s parameters, %s MACs, %s bytes moved for %s"
                        .formatted(
                                Table.count(cost.parameters()),
                                Table.count(cost.macs()),
                                Table.count(cost.bytes()),
                                Printable.line(extents())));
        if (!cost.unknown().isEmpty()) {
            lines.add(Printable.line("Not all is known, nor counted, of: " + uncounted()));
        }
        lines.add(
                "The file has %s bytes (%s); constants:"
                        .formatted(Table.count(bytes()), Table.megabytes(bytes())));
        new TreeMap<>(cost.weightBytes())
                .forEach((type, bytes) ->
                        lines.add(
                                "  %s (%s) of %s"
                                        .formatted(
                                                Table.count(bytes),
                                                Table.megabytes(bytes),
                                                ValueType.name(type))));
        return lines;
    }

    private String uncounted() {
        Map<String, Long> counts =
                cost.unknown().stream()
                        .collect(
                                Collectors.groupingBy(
                                        OnnxInspection::operator,
                                        TreeMap::new,
                                        Collectors.counting()));
        return counts.entrySet().stream()
                .map(entry -> entry.getKey() + " (" + Table.count(entry.getValue()) + ")")
                .collect(Collectors.joining(", "));
    }

    private String extents() {
        return model.graph().inputs().stream()
                .map(input ->
                        input.getName()
                                + " of "
                                + (cost.inputs().containsKey(input.getName())
                                        ? cost.inputs().get(input.getName())
                                        : "unknown extents"))
                .collect(Collectors.joining(", "));
    }

    private long bytes() {
        try {
            return Files.size(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** As JSON has it. */
    Map<String, Object> describe(boolean withProgram) {
        var description = new LinkedHashMap<String, Object>();
        description.put("file", file.toString());
        description.put("format", "onnx");
        description.put("bytes", bytes());
        description.put("ir_version", model.irVersion());
        description.put("opsets", model.opsets());
        description.put("producer", model.producer());
        description.put("metadata", model.metadata());
        description.put("inputs", describe(model.graph().inputs()));
        description.put("outputs", describe(model.graph().outputs()));
        description.put("operators", operatorCounts());
        description.put("parameters", cost.parameters());
        description.put("macs", cost.macs());
        description.put("bytes_moved", cost.bytes());
        description.put("counted_for", cost.inputs());
        description.put("constant_bytes", constantBytes());
        description.put("layers", cost.rows().stream().map(OnnxInspection::describe).toList());
        if (withProgram) {
            description.put("program", String.join("\n", ModelProgram.of(model, shapes)));
        }
        return description;
    }

    private Map<String, Integer> operatorCounts() {
        var counts = new TreeMap<String, Integer>();
        byOperator().forEach((operator, rows) -> counts.put(operator, rows.size()));
        return counts;
    }

    private Map<String, Long> constantBytes() {
        var bytes = new TreeMap<String, Long>();
        cost.weightBytes().forEach((type, count) -> bytes.put(ValueType.name(type), count));
        return bytes;
    }

    private List<Map<String, String>> describe(List<ValueInfoProto> values) {
        Function<ValueInfoProto, String> type = value -> shapes.type(value.getName()).toString();
        return values.stream()
                .map(value -> Map.of("name", value.getName(), "type", type.apply(value)))
                .toList();
    }

    private static Map<String, Object> describe(ModelCost.Row row) {
        var description = new LinkedHashMap<String, Object>();
        description.put("name", row.node().name());
        description.put("operator", operator(row.node()));
        description.put("gives", gives(row));
        description.put("parameters", row.parameters());
        description.put("macs", row.macs());
        description.put("bytes_moved", row.bytes());
        description.put("known", row.isKnown());
        return description;
    }
}
