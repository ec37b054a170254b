package io.espalier.graph;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.StateRead;

import org.jspecify.annotations.Nullable;

import tools.jackson.databind.json.JsonMapper;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Reads the form of a graph that had no version: calls by libtorch's names, with all arguments in
 * its order, a value among them as {@code {"value": x}}.
 */
final class FirstGraphJson {
    private static final JsonMapper JSON = new JsonMapper();

    private FirstGraphJson() {}

    private record Document(List<String> inputs, List<Step> nodes, List<String> outputs) {}

    private record Step(
            @Nullable String module,
            @Nullable String function,
            @Nullable String owner,
            @Nullable String name,
            List<@Nullable Object> arguments,
            List<String> results) {}

    static Graph read(String json) {
        Document document = JSON.readValue(json, Document.class);
        return new Graph(
                values(document.inputs()),
                document.nodes().stream().map(FirstGraphJson::node).toList(),
                values(document.outputs()));
    }

    private static List<Value> values(List<?> names) {
        return names.stream()
                .map(name -> new Value((String) Objects.requireNonNull(name)))
                .toList();
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
            return function(step.function(), arguments, results);
        }
        return new StateRead(
                Objects.requireNonNull(step.owner()),
                Objects.requireNonNull(step.name()),
                results.getFirst());
    }

    /** Upsampling to a size was another overload, which took a scale for each dimension. */
    private static Node function(
            String name, List<@Nullable Object> arguments, List<Value> results) {
        if (!name.startsWith("aten::upsample_") || name.endsWith(".vec")) {
            return LibtorchBinding.recorded(name, arguments, results);
        }
        int kept = name.contains("nearest") ? 2 : 3;
        return LibtorchBinding.recorded(name + ".vec", arguments.subList(0, kept), results);
    }

    private static @Nullable Object argument(@Nullable Object read) {
        return switch (read) {
            case Map<?, ?> map -> new Value((String) Objects.requireNonNull(map.get("value")));
            case List<?> list -> list.stream().map(FirstGraphJson::argument).toList();
            case null, default -> read;
        };
    }
}
