package io.espalier.conformance;

import org.bytedeco.pytorch.Tensor;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The named values of a case: numbers, strings, tensors, and objects of the same. It remembers
 * which of them were read, so that a value nobody looked at can't pass for one that was checked.
 */
final class Values {
    private final String path;
    private final JsonNode node;
    private final Map<String, Tensor> tensors;
    private final Set<String> read = new LinkedHashSet<>();
    private final List<Values> inner = new ArrayList<>();

    /**
     * @param path where the object stands, for messages: {@code params}
     * @param node a JSON object
     * @param tensors the tensors that {@code {"tensor": name}} refers to
     */
    Values(String path, JsonNode node, Map<String, Tensor> tensors) {
        if (!node.isObject()) {
            throw new MalformedCase(path + " is not an object");
        }
        this.path = path;
        this.node = node;
        this.tensors = tensors;
    }

    static Values none(String path) {
        return new Values(path, JsonNodeFactory.instance.objectNode(), Map.of());
    }

    boolean has(String name) {
        return node.has(name);
    }

    boolean isNull(String name) {
        return value(name).isNull();
    }

    /** The names of the values, in the file's order. */
    List<String> names() {
        return List.copyOf(node.propertyNames());
    }

    /** The names that begin with {@code prefix}, without it, in the file's order. */
    List<String> namesUnder(String prefix) {
        return names().stream()
                .filter(name -> name.startsWith(prefix))
                .map(name -> name.substring(prefix.length()))
                .toList();
    }

    String text(String name) {
        JsonNode value = value(name);
        if (!value.isString()) {
            throw wrong(name, "a string");
        }
        return value.stringValue();
    }

    List<String> texts(String name) {
        return texts(name, value(name));
    }

    /** A list of lists of strings. */
    List<List<String>> textLists(String name) {
        List<List<String>> lists = new ArrayList<>();
        elements(name, value(name)).forEach(list -> lists.add(texts(name, list)));
        return lists;
    }

    private List<String> texts(String name, JsonNode list) {
        List<String> texts = new ArrayList<>();
        for (JsonNode element : elements(name, list)) {
            if (!element.isString()) {
                throw wrong(name, "a list of strings");
            }
            texts.add(element.stringValue());
        }
        return texts;
    }

    boolean flag(String name) {
        JsonNode value = value(name);
        if (!value.isBoolean()) {
            throw wrong(name, "true or false");
        }
        return value.booleanValue();
    }

    /** A number as it is written: a {@code Long} for 1, a {@code Double} for 1.0. */
    Number number(String name) {
        JsonNode value = value(name);
        if (value.isIntegralNumber() && value.canConvertToLong()) {
            return value.longValue();
        }
        if (value.isNumber()) {
            return value.doubleValue();
        }
        throw wrong(name, "a number");
    }

    /** A number, where {@code "inf"} and {@code "-inf"} are numbers too. */
    double real(String name) {
        return switch (value(name).asString("")) {
            case "inf" -> Double.POSITIVE_INFINITY;
            case "-inf" -> Double.NEGATIVE_INFINITY;
            default -> number(name).doubleValue();
        };
    }

    List<Double> reals(String name) {
        List<Double> numbers = new ArrayList<>();
        for (JsonNode element : elements(name, value(name))) {
            if (!element.isNumber()) {
                throw wrong(name, "a list of numbers");
            }
            numbers.add(element.doubleValue());
        }
        return numbers;
    }

    long integer(String name) {
        if (number(name) instanceof Long integer) {
            return integer;
        }
        throw wrong(name, "a whole number");
    }

    /** A whole number within bounds, which keep a strange file from running for ever. */
    int integer(String name, int least, int most) {
        long integer = integer(name);
        if (integer < least || integer > most) {
            throw wrong(name, "between " + least + " and " + most);
        }
        return (int) integer;
    }

    Tensor tensor(String name) {
        return tensor(name, value(name));
    }

    Optional<String> optionalText(String name) {
        return has(name) ? Optional.of(text(name)) : Optional.empty();
    }

    Optional<Tensor> optionalTensor(String name) {
        return has(name) ? Optional.of(tensor(name)) : Optional.empty();
    }

    List<Tensor> tensors(String name) {
        List<Tensor> list = new ArrayList<>();
        elements(name, value(name)).forEach(element -> list.add(tensor(name, element)));
        return list;
    }

    private Tensor tensor(String name, JsonNode value) {
        if (!value.path("tensor").isString()) {
            throw wrong(name, "a tensor, {\"tensor\": NAME}");
        }
        String stored = value.path("tensor").stringValue();
        Tensor tensor = tensors.get(stored);
        if (tensor == null) {
            throw new MalformedCase(
                    path + "." + name + " names the tensor '" + stored + "', which is not there");
        }
        return tensor;
    }

    /** An object within this one. */
    Values object(String name) {
        return object(path + "." + name, value(name));
    }

    /** A list of objects. */
    List<Values> objects(String name) {
        List<Values> list = new ArrayList<>();
        for (JsonNode element : elements(name, value(name))) {
            list.add(object(path + "." + name + "[" + list.size() + "]", element));
        }
        return list;
    }

    private Values object(String at, JsonNode value) {
        Values values = new Values(at, value, tensors);
        inner.add(values);
        return values;
    }

    /** The plain values as they are written, by name; they don't count as read. */
    Map<String, String> scalars() {
        Map<String, String> scalars = new LinkedHashMap<>();
        node.properties()
                .forEach(member -> {
                    if (member.getValue().isValueNode()) {
                        scalars.put(member.getKey(), member.getValue().asString());
                    }
                });
        return scalars;
    }

    /** The paths of the values that were never read. */
    List<String> unread() {
        List<String> unread = new ArrayList<>();
        names().stream()
                .filter(name -> !read.contains(name))
                .forEach(name -> unread.add(path + "." + name));
        inner.forEach(values -> unread.addAll(values.unread()));
        return unread;
    }

    private JsonNode value(String name) {
        JsonNode value = node.get(name);
        if (value == null) {
            throw new MalformedCase(path + "." + name + " is missing");
        }
        read.add(name);
        return value;
    }

    private Iterable<JsonNode> elements(String name, JsonNode value) {
        if (!value.isArray()) {
            throw wrong(name, "a list");
        }
        return value;
    }

    private MalformedCase wrong(String name, String wanted) {
        return new MalformedCase(path + "." + name + " is not " + wanted);
    }
}
