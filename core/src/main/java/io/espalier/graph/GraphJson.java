package io.espalier.graph;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import tools.jackson.databind.json.JsonMapper;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

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
            List<@Nullable String> outputs,
            @Nullable List<@Nullable Input> types,
            @Nullable Map<String, @Nullable Long> example,
            @Nullable Boolean strict) {}

    /** The type of an input; lengths are numbers or names. */
    private record Input(String type, List<@Nullable Object> shape) {}

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
                        names(graph.outputs()),
                        types(graph.signature()),
                        graph.signature().example().isEmpty()
                                ? null
                                : new TreeMap<>(graph.signature().example()),
                        graph.signature().strict()));
    }

    private static @Nullable List<@Nullable Input> types(Signature signature) {
        return signature.types().isEmpty()
                ? null
                : new ArrayList<>(
                        signature.types().values().stream()
                                .map(type -> new Input(type.type().name(), plain(type.shape())))
                                .toList());
    }

    private static List<@Nullable Object> plain(List<?> elements) {
        return new ArrayList<>(elements.stream().map(GraphJson::plain).toList());
    }

    private static Object plain(Object value) {
        return switch (value) {
            case Size.Fixed(long number) -> number;
            case Size size -> size.toString();
            case ScalarType type -> type.name();
            case List<?> list -> list.stream().map(GraphJson::plain).toList();
            default -> value;
        };
    }

    private static Map<String, Object> plain(Map<String, Object> attributes) {
        Map<String, Object> written = new LinkedHashMap<>();
        attributes.forEach((name, value) -> written.put(name, plain(value)));
        return written;
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
                            plain(call.attributes()),
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
            if (document.outputs().isEmpty()) {
                throw new EspalierException("A graph is described that returns nothing.");
            }
            List<Value> inputs = values(document.inputs());
            return new Graph(
                    inputs,
                    document.nodes().stream().map(GraphJson::node).toList(),
                    values(document.outputs()),
                    signature(inputs, document));
        } catch (EspalierException e) {
            throw e;
        } catch (RuntimeException e) { // whatever a damaged document makes Jackson or records throw
            throw new EspalierException("A graph is described in a form that can't be read.", e);
        }
    }

    private static Signature signature(List<Value> inputs, Document document) {
        SequencedMap<Value, TensorType> types = new LinkedHashMap<>();
        if (document.types() != null) {
            for (int i = 0; i < inputs.size(); i++) {
                Input input = Objects.requireNonNull(document.types().get(i));
                List<Size> shape = new ArrayList<>();
                for (Object length : input.shape()) {
                    Object size = AttributeType.LONG.convert(Objects.requireNonNull(length));
                    shape.add(
                            size instanceof Long number
                                    ? new Size.Fixed(number)
                                    : (Size) Objects.requireNonNull(size));
                }
                types.put(inputs.get(i), new TensorType(ScalarType.valueOf(input.type()), shape));
            }
        }
        Map<String, Long> example = new LinkedHashMap<>();
        if (document.example() != null) {
            document.example()
                    .forEach((name, size) -> example.put(name, Objects.requireNonNull(size)));
        }
        return new Signature(types, example, Boolean.TRUE.equals(document.strict()));
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
        if (Stream.of(step.module(), step.operator(), step.owner()).filter(Objects::nonNull).count()
                > 1) {
            throw new EspalierException("A graph has a node of two kinds: " + results + ".");
        }
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
