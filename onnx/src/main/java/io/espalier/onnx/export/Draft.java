package io.espalier.onnx.export;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * The nodes and constants of an ONNX graph as they are written. Values are known by their names;
 * those of one step are named after it.
 */
final class Draft {
    /** Constants from this size on are written once, however often they occur. */
    private static final long SHARED_FROM = 1024;

    private final long opset;
    private final List<Call> calls = new ArrayList<>();
    private final Map<String, ConstantTensor> constants = new LinkedHashMap<>();
    private final Map<String, String> states = new HashMap<>();
    private final Map<List<Object>, String> numbers = new HashMap<>();
    private final Map<List<Object>, List<String>> large = new HashMap<>();
    private final Set<String> names = new HashSet<>();
    private final Map<String, Range> ranges = new HashMap<>();
    private String step = "value";

    /** A node that is not finished: its values may still be renamed. */
    private record Call(
            String op,
            List<String> inputs,
            List<String> outputs,
            UnaryOperator<OnnxNode> attributes) {
        Call renamed(String from, String to) {
            UnaryOperator<String> rename = name -> name.equals(from) ? to : name;
            return new Call(
                    op,
                    inputs.stream().map(rename).toList(),
                    outputs.stream().map(rename).toList(),
                    attributes);
        }

        OnnxNode node() {
            return attributes.apply(OnnxNode.of("", op, inputs, outputs));
        }
    }

    /** An empty graph for operators of this version. */
    Draft(long opset) {
        this.opset = opset;
    }

    /** The version of the standard's operators that are written. */
    long opset() {
        return opset;
    }

    /** Takes a name that nothing has yet, like this one. */
    String fresh(String like) {
        String name = like;
        for (int i = 1; !names.add(name); i++) {
            name = like + "_" + i;
        }
        return name;
    }

    /** Begins a step: its nodes' values are named after it until the next begins. */
    int begin(String name) {
        step = name;
        return calls.size();
    }

    /** Gives a value that was made since a step began the step's own name. */
    String named(int since, String value) {
        boolean made =
                calls.subList(since, calls.size()).stream()
                        .anyMatch(call -> call.outputs.contains(value));
        if (!made || value.equals(step) || !names.add(step)) {
            return value;
        }
        String name = step;
        calls.subList(since, calls.size()).replaceAll(call -> call.renamed(value, name));
        Range range = ranges.remove(value);
        if (range != null) {
            ranges.put(name, range);
        }
        return name;
    }

    /** A call without attributes; gives its result. */
    String node(String op, String... inputs) {
        return node(op, node -> node, inputs);
    }

    /** A call with attributes; gives its result. An empty input is one that is left out. */
    String node(String op, UnaryOperator<OnnxNode> attributes, String... inputs) {
        return nodes(op, 1, attributes, inputs).getFirst();
    }

    /** A call with several results. */
    List<String> nodes(
            String op, int results, UnaryOperator<OnnxNode> attributes, String... inputs) {
        List<String> given = new ArrayList<>(Arrays.asList(inputs));
        while (!given.isEmpty() && given.getLast().isEmpty()) {
            given.removeLast();
        }
        List<String> outputs = new ArrayList<>();
        for (int i = 0; i < results; i++) {
            outputs.add(fresh(step + "/" + op));
        }
        calls.add(new Call(op, List.copyOf(given), List.copyOf(outputs), attributes));
        return List.copyOf(outputs);
    }

    /** A constant of the current step. */
    String constant(String what, ConstantTensor value) {
        String name = fresh(step + "/" + what);
        constants.put(name, value);
        return name;
    }

    /** Whole numbers, written once. */
    String longs(long... values) {
        List<Object> key = List.of("longs", Arrays.stream(values).boxed().toList());
        return numbers.computeIfAbsent(
                key,
                k -> {
                    String name = fresh("numbers_" + join(values));
                    constants.put(
                            name, ConstantTensor.longs(List.of((long) values.length), values));
                    return name;
                });
    }

    private static String join(long... values) {
        String text = String.join("_", Arrays.stream(values).mapToObj(Long::toString).toList());
        return text.length() > 30 ? "list" : text;
    }

    /** A number without dimensions, written once. */
    String number(ElementType type, double value) {
        return numbers.computeIfAbsent(
                List.of(type, value),
                key -> {
                    String text = value == (long) value ? Long.toString((long) value) : "" + value;
                    String name = fresh("number_" + text);
                    constants.put(name, Weights.scalar(type, value));
                    return name;
                });
    }

    /** A tensor of the model, under its name in the model's state. */
    String state(String name, Tensor tensor) {
        return state(name, Weights.constant(tensor));
    }

    /** A constant under the name of a tensor of the model's state; one of this name is kept. */
    String state(String name, ConstantTensor constant) {
        return states.computeIfAbsent(name, n -> shared(n, constant));
    }

    /** Whether the state's tensor of this name is written already. */
    @Nullable String known(String state) {
        return states.get(state);
    }

    private String shared(String name, ConstantTensor constant) {
        List<String> alike = List.of();
        if (constant.byteSize() >= SHARED_FROM) {
            List<Object> key = List.of(constant.type(), constant.shape());
            alike = large.computeIfAbsent(key, k -> new ArrayList<>());
            for (String other : alike) {
                ConstantTensor known = constants.get(other);
                if (known != null && known.bytes().mismatch(constant.bytes()) < 0) {
                    return other;
                }
            }
        }
        String fresh = fresh(name);
        constants.put(fresh, constant);
        if (constant.byteSize() >= SHARED_FROM) {
            alike.add(fresh);
        }
        return fresh;
    }

    /** The constant of a name, or null. */
    @Nullable ConstantTensor constantOf(String name) {
        return constants.get(name);
    }

    /** How a value's integers stand for numbers, if it is dequantized from such. */
    @Nullable Range range(String value) {
        return ranges.get(value);
    }

    /** A value rounded to integers and back. */
    String rounded(String value, Range range) {
        if (range.equals(ranges.get(value))) {
            return value;
        }
        String scale = constant("scale", ConstantTensor.scalar(range.scale()));
        String zeroPoint =
                constant(
                        "zero_point",
                        ConstantTensor.bytes(range.type(), List.of(), (byte) range.zeroPoint()));
        String integers = node("QuantizeLinear", value, scale, zeroPoint);
        String floats = node("DequantizeLinear", integers, scale, zeroPoint);
        ranges.put(floats, range);
        return floats;
    }

    /** The nodes in the order in which they were written. */
    List<OnnxNode> nodes() {
        return calls.stream().map(Call::node).toList();
    }

    /** The constants by name. */
    Map<String, ConstantTensor> constants() {
        return constants;
    }

    /** Gives a value of the graph another name. */
    void rename(String from, String to) {
        names.add(to);
        calls.replaceAll(call -> call.renamed(from, to));
    }

    /** Whether a node makes this value. */
    boolean makes(String value) {
        return calls.stream().anyMatch(call -> call.outputs.contains(value));
    }
}
