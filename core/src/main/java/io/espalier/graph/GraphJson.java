package io.espalier.graph;

import io.espalier.graph.Node.Attribute;
import io.espalier.graph.Node.FunctionCall;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A {@link Graph} as text: one object a node; a value among constants is {@code {"value": x}}. */
final class GraphJson {
    private static final JsonMapper JSON = new JsonMapper();
    private static final String VALUE = "value";

    private GraphJson() {}

    /** The whole of it. */
    private record Document(List<String> inputs, List<Step> nodes, List<String> outputs) {}

    /** A node; which of the fields are there says of which kind. */
    private record Step(
            @Nullable String module,
            @Nullable String function,
            @Nullable String owner,
            @Nullable String name,
            List<@Nullable Object> arguments,
            List<String> results) {}

    static String write(Graph graph) {
        return JSON.writeValueAsString(
                new Document(
                        names(graph.inputs()),
                        graph.nodes().stream().map(GraphJson::step).toList(),
                        names(graph.outputs())));
    }

    private static List<String> names(List<Value> values) {
        return values.stream().map(Value::name).toList();
    }

    private static Step step(Node node) {
        List<String> results = names(node.results());
        return switch (node) {
            case ModuleCall call ->
                    new Step(
                            call.path(),
                            null,
                            null,
                            null,
                            List.copyOf(names(call.inputs())),
                            results);
            case FunctionCall call -> {
                List<@Nullable Object> arguments = new ArrayList<>();
                for (Object argument : call.arguments()) {
                    arguments.add(plain(argument));
                }
                yield new Step(null, call.operator(), null, null, arguments, results);
            }
            case Attribute attribute ->
                    new Step(null, null, attribute.owner(), attribute.name(), List.of(), results);
        };
    }

    private static @Nullable Object plain(@Nullable Object argument) {
        return switch (argument) {
            case Value value -> Map.of(VALUE, value.name());
            case List<?> list -> list.stream().map(GraphJson::plain).toList();
            case null, default -> argument;
        };
    }

    static Graph read(String json) {
        try {
            Document document = JSON.readValue(json, Document.class);
            return new Graph(
                    values(document.inputs()),
                    document.nodes().stream().map(GraphJson::node).toList(),
                    values(document.outputs()));
        } catch (JacksonException | NullPointerException | ClassCastException e) {
            throw new EspalierException("A graph is described in a form that can't be read.", e);
        }
    }

    private static List<Value> values(List<?> names) {
        return names.stream().map(name -> new Value((String) name)).toList();
    }

    private static Node node(Step step) {
        List<Value> results = values(step.results());
        if (step.module() != null) {
            return new ModuleCall(step.module(), values(step.arguments()), results);
        }
        if (step.function() != null) {
            List<@Nullable Object> arguments = new ArrayList<>();
            for (Object argument : step.arguments()) {
                arguments.add(argument(argument));
            }
            return new FunctionCall(step.function(), arguments, results.getFirst());
        }
        if (step.owner() != null && step.name() != null) {
            return new Attribute(step.owner(), step.name(), results.getFirst());
        }
        throw new EspalierException("A graph has a node that calls nothing: " + results + ".");
    }

    private static @Nullable Object argument(@Nullable Object read) {
        return switch (read) {
            case Map<?, ?> map -> new Value(Objects.requireNonNull((String) map.get(VALUE)));
            case List<?> list -> list.stream().map(GraphJson::argument).toList();
            case Integer number -> number.longValue();
            case null, default -> read;
        };
    }
}
