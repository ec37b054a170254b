package io.espalier.graph;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import tools.jackson.databind.json.JsonMapper;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A {@link Graph} as text: one object a node, which names a module, an operator or a tensor of the
 * model. Numbers that JSON lacks are written as the texts {@code "Infinity"}, {@code "-Infinity"}
 * and {@code "NaN"}.
 */
final class GraphJson {
    private static final JsonMapper JSON = new JsonMapper();

    /** What is written; a document of another is refused. */
    private static final int VERSION = 2;

    private GraphJson() {}

    /** The whole of it. */
    private record Document(
            @Nullable Integer version,
            List<@Nullable String> inputs,
            List<Step> nodes,
            List<@Nullable String> outputs) {}

    /** A node; which of the fields are there says of which kind. */
    private record Step(
            @Nullable String module,
            @Nullable String operator,
            @Nullable String owner,
            @Nullable String tensor,
            @Nullable List<@Nullable String> operands,
            @Nullable Map<String, Object> attributes,
            List<String> results) {}

    static String write(Graph graph) {
        return JSON.writeValueAsString(
                new Document(
                        VERSION,
                        names(graph.inputs()),
                        graph.nodes().stream().map(GraphJson::step).toList(),
                        names(graph.outputs())));
    }

    private static List<@Nullable String> names(List<? extends @Nullable Value> values) {
        List<@Nullable String> names = new ArrayList<>();
        for (Value value : values) {
            names.add(value == null ? null : value.name());
        }
        return names;
    }

    private static Step step(Node node) {
        List<String> results = node.results().stream().map(Value::name).toList();
        return switch (node) {
            case ModuleCall call ->
                    new Step(call.path(), null, null, null, names(call.inputs()), null, results);
            case OperatorCall call ->
                    new Step(
                            null,
                            call.operator().toString(),
                            null,
                            null,
                            names(call.operands()),
                            call.attributes(),
                            results);
            case StateRead read ->
                    new Step(null, null, read.owner(), read.name(), null, null, results);
        };
    }

    static Graph read(String json) {
        try {
            Document document = JSON.readValue(json, Document.class);
            if (document.version() == null) {
                return FirstGraphJson.read(json);
            }
            if (!Integer.valueOf(VERSION).equals(document.version())) {
                throw new EspalierException(
                        "A graph is described in version "
                                + document.version()
                                + " of its form; this library reads version "
                                + VERSION
                                + " and those before it.");
            }
            return new Graph(
                    values(document.inputs()),
                    document.nodes().stream().map(GraphJson::node).toList(),
                    values(document.outputs()));
        } catch (EspalierException e) {
            throw e;
        } catch (RuntimeException e) { // whatever a damaged document makes Jackson or records throw
            throw new EspalierException("A graph is described in a form that can't be read.", e);
        }
    }

    private static List<Value> values(@Nullable List<? extends @Nullable String> names) {
        List<Value> values = new ArrayList<>();
        for (String name : Objects.requireNonNull(names)) {
            values.add(new Value(Objects.requireNonNull(name)));
        }
        return values;
    }

    private static Node node(Step step) {
        List<Value> results = values(new ArrayList<>(step.results()));
        if (step.module() != null) {
            return new ModuleCall(step.module(), values(step.operands()), results);
        }
        if (step.operator() != null) {
            List<@Nullable Value> operands = new ArrayList<>();
            for (String name : Objects.requireNonNull(step.operands())) {
                operands.add(name == null ? null : new Value(name));
            }
            return new OperatorCall(
                    GraphOperator.of(step.operator()),
                    operands,
                    step.attributes() == null ? Map.of() : step.attributes(),
                    results);
        }
        if (step.owner() != null && step.tensor() != null && results.size() == 1) {
            return new StateRead(step.owner(), step.tensor(), results.getFirst());
        }
        throw new EspalierException("A graph has a node that calls nothing: " + results + ".");
    }
}
