package io.espalier.graph;

import io.espalier.tensor.EspalierException;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * A program over the modules of a model: each value is computed once, by one node, before it is
 * used. It never changes; a pass makes another.
 *
 * @param inputs what the model is called with
 * @param nodes the steps in their order
 * @param outputs what it returns
 * @param signature the types and sizes of its inputs
 */
public record Graph(
        List<Value> inputs, List<Node> nodes, List<Value> outputs, Signature signature) {
    /**
     * Copies and checks.
     *
     * @throws EspalierException if a value is used before it is computed, or computed twice
     */
    public Graph {
        inputs = List.copyOf(inputs);
        nodes = List.copyOf(nodes);
        outputs = List.copyOf(outputs);
        Set<Value> known = new HashSet<>(inputs);
        for (Node node : nodes) {
            requireKnown(known, node.inputs(), node.toString());
            for (Value result : node.results()) {
                if (!known.add(result)) {
                    throw new EspalierException(
                            "A graph computes '" + result + "' twice: " + node + ".");
                }
            }
        }
        requireKnown(known, outputs, "return");
        if (!signature.types().isEmpty()
                && !List.copyOf(signature.types().keySet()).equals(inputs)) {
            throw new EspalierException(
                    "A graph of the inputs "
                            + inputs
                            + " can't have the types "
                            + signature.types()
                            + ".");
        }
    }

    /** A graph of whose inputs nothing is known. */
    public Graph(List<Value> inputs, List<Node> nodes, List<Value> outputs) {
        this(inputs, nodes, outputs, Signature.UNKNOWN);
    }

    private static void requireKnown(Set<Value> known, List<Value> used, String where) {
        for (Value value : used) {
            if (!known.contains(value)) {
                throw new EspalierException(
                        "A graph uses '" + value + "' before it is computed: " + where + ".");
            }
        }
    }

    /** The node that computes each value; an input of the graph has none. */
    public Map<Value, Node> producers() {
        Map<Value, Node> producers = new HashMap<>();
        nodes.forEach(node -> node.results().forEach(result -> producers.put(result, node)));
        return producers;
    }

    /** The nodes that use each value, in their order, once for each use. */
    public Map<Value, List<Node>> consumers() {
        Map<Value, List<Node>> consumers = new LinkedHashMap<>();
        for (Node node : nodes) {
            for (Value input : node.inputs()) {
                consumers.computeIfAbsent(input, value -> new ArrayList<>()).add(node);
            }
        }
        return consumers;
    }

    /** The paths of the modules that the graph calls or takes tensors from, each once. */
    public SequencedSet<String> modulePaths() {
        SequencedSet<String> paths = new LinkedHashSet<>();
        nodes.forEach(node -> node.modulePath().ifPresent(paths::add));
        return paths;
    }

    /** Whether the model returns a value. */
    public boolean returns(Value value) {
        return outputs.contains(value);
    }

    /** The same with other nodes. */
    public Graph withNodes(List<Node> replaced) {
        return with(replaced, outputs);
    }

    /** The same with other nodes and outputs. */
    public Graph with(List<Node> replaced, List<Value> returned) {
        return new Graph(inputs, replaced, returned, signature);
    }

    /** The same with something else known of its inputs. */
    Graph withSignature(Signature known) {
        return new Graph(inputs, nodes, outputs, known);
    }

    /** Without the nodes whose results nobody uses. */
    public Graph withoutUnused() {
        return withoutUnused(node -> true);
    }

    /**
     * Without the nodes whose results nobody uses, of those that may be left out; a module that
     * does something besides computing may not.
     */
    public Graph withoutUnused(Predicate<Node> mayGo) {
        Map<Value, Node> producers = producers();
        Set<Node> used = Collections.newSetFromMap(new IdentityHashMap<>());
        Deque<Value> open = new ArrayDeque<>(outputs);
        for (Node node : nodes) {
            if (!mayGo.test(node)) {
                used.add(node);
                open.addAll(node.inputs());
            }
        }
        while (!open.isEmpty()) {
            Node producer = producers.get(open.pop());
            if (producer != null && used.add(producer)) {
                open.addAll(producer.inputs());
            }
        }
        return withNodes(nodes.stream().filter(used::contains).toList());
    }

    /** With other values in the places of some; nodes that compute the replaced ones stay. */
    public Graph replacing(Map<Value, Value> replacements) {
        UnaryOperator<Value> replace =
                value -> {
                    Value now = value;
                    while (replacements.containsKey(now)) {
                        now = replacements.get(now);
                    }
                    return now;
                };
        return with(
                nodes.stream().map(node -> node.withInputs(replace)).toList(),
                outputs.stream().map(replace).toList());
    }

    /** The program as text for a file, which {@link #fromJson} reads. */
    public String toJson() {
        return GraphJson.write(this);
    }

    /**
     * Reads what {@link #toJson} wrote.
     *
     * @throws EspalierException if it is no graph
     */
    public static Graph fromJson(String json) {
        return GraphJson.read(json);
    }

    /** The program, one node on a line. */
    @Override
    public String toString() {
        return inputs.stream().map(Value::name).collect(Collectors.joining(", ", "graph(", "):\n"))
                + nodes.stream().map(node -> "    " + node + "\n").collect(Collectors.joining())
                + outputs.stream()
                        .map(Value::name)
                        .collect(Collectors.joining(", ", "    return ", ""));
    }
}
