package io.espalier.cli;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphCost;
import io.espalier.graph.TensorType;
import io.espalier.quant.Quantization;
import io.espalier.quant.graph.GraphFile;
import io.espalier.state.SavedModel;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * The program of a graph.
 *
 * @param cost of one call with one input; empty where the file alone can't be run
 * @param unknown why there is no cost
 */
record SavedProgram(Graph graph, Optional<GraphCost> cost, String unknown) {
    /** The program that a file holds, if it does. */
    static Optional<SavedProgram> of(SavedModel model) {
        return GraphFile.program(model.file(), model.metadata())
                .map(graph -> of(graph, () -> GraphCost.of(Quantization.loadGraph(model.file()))));
    }

    /** A program with what it costs, if that can be known. */
    static SavedProgram of(Graph graph, Supplier<GraphCost> cost) {
        try {
            return new SavedProgram(graph, Optional.of(cost.get()), "");
        } catch (EspalierException e) {
            return new SavedProgram(graph, Optional.empty(), String.valueOf(e.getMessage()));
        }
    }

    /** As a table with what each step gives and costs, or as it is. */
    List<String> lines() {
        if (cost.isEmpty()) {
            List<String> lines = new ArrayList<>(graph.toString().strip().lines().toList());
            lines.add("What it costs is not known: " + unknown.lines().findFirst().orElse(""));
            return lines;
        }
        GraphCost known = cost.get();
        var table = new Table(2, "step", "gives", "parameters", "MACs", "bytes moved");
        for (GraphCost.Row row : known.rows()) {
            table.row(
                    row.node().toString(),
                    types(row),
                    Table.count(row.parameters()),
                    Table.count(row.macs()),
                    Table.count(row.bytes()));
        }
        table.row(
                "one call",
                "",
                Table.count(known.parameters()),
                Table.count(known.macs()),
                Table.count(known.bytes()));
        return table.lines();
    }

    private static String types(GraphCost.Row row) {
        return row.results().stream().map(TensorType::toString).collect(Collectors.joining(", "));
    }

    /** As JSON has it. */
    Map<String, Object> describe() {
        var description = new LinkedHashMap<String, Object>();
        description.put("text", graph.toString());
        cost.ifPresent(known -> {
            description.put("macs", known.macs());
            description.put("bytes_moved", known.bytes());
            description.put("steps", known.rows().stream().map(SavedProgram::describe).toList());
        });
        return description;
    }

    private static Map<String, Object> describe(GraphCost.Row row) {
        var description = new LinkedHashMap<String, Object>();
        description.put("step", row.node().toString());
        description.put("gives", types(row));
        description.put("parameters", row.parameters());
        description.put("macs", row.macs());
        description.put("bytes_moved", row.bytes());
        return description;
    }
}
