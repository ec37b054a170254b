package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Weights that several nodes compute from constants, some of which are read more than once, so that
 * no node alone makes room for what it gives: a weight divided by its own norm, or the gates of a
 * recurrent layer put in another order. All of the nodes go together.
 */
final class ComputedConstants {
    /** What computes a weight is no longer than this. */
    private static final int MOST_NODES = 64;

    private final Subject subject;
    private final OnnxGraph graph;
    private final Set<OnnxNode> fixed = new HashSet<>();

    private ComputedConstants(Subject subject) {
        this.subject = subject;
        graph = subject.graph();
    }

    static int fold(Subject subject) {
        return new ComputedConstants(subject).fold();
    }

    private int fold() {
        List<OnnxNode> nodes = List.copyOf(graph.nodes());
        nodes.stream().filter(this::isFixed).forEach(fixed::add);
        int changes = 0;
        for (OnnxNode node : nodes) {
            changes += fixed.contains(node) && isLast(node) ? fold(node) : 0;
        }
        return changes;
    }

    /** Whether it computes the same in each run, as all that it reads does. */
    private boolean isFixed(OnnxNode node) {
        return node.outputs().size() == 1
                && !node.inputs().isEmpty()
                && node.subgraphs().isEmpty()
                && node.inputs().stream()
                        .allMatch(input ->
                                input.isEmpty()
                                        || graph.constant(input) != null
                                        || isFixedValue(input));
    }

    private boolean isFixedValue(String value) {
        OnnxNode producer = graph.producer(value);
        return producer != null && fixed.contains(producer);
    }

    /** Whether something reads it that isn't the same in each run. */
    private boolean isLast(OnnxNode node) {
        return !graph.isOutput(node.output())
                && graph.readers(node.output()).stream().anyMatch(r -> !fixed.contains(r));
    }

    private int fold(OnnxNode last) {
        Map<String, OnnxNode> nodes = computing(last);
        if (nodes.size() < 2 || nodes.size() > MOST_NODES) {
            return 0;
        }
        Map<String, ConstantTensor> constants = new LinkedHashMap<>();
        long room = 0;
        for (OnnxNode node : nodes.values()) {
            room += node.toProto().getSerializedSize();
            if (node != last && !isReadBy(nodes, node.output())) {
                return 0;
            }
            for (String input : node.inputs()) {
                ConstantTensor constant = graph.constant(input);
                if (constant != null && constants.put(input, constant) == null) {
                    room += isReadBy(nodes, input) ? constant.byteSize() : 0;
                }
            }
        }
        ConstantTensor result = computed(List.copyOf(nodes.values()), constants, room);
        if (result == null || result.byteSize() > room) {
            return 0;
        }
        nodes.values().forEach(graph::remove);
        graph.addConstant(last.output(), result);
        return 1;
    }

    /** The nodes that a value is computed by, by their results, in the graph's order. */
    private Map<String, OnnxNode> computing(OnnxNode last) {
        Set<OnnxNode> found = new HashSet<>(Set.of(last));
        Deque<OnnxNode> left = new ArrayDeque<>(found);
        while (!left.isEmpty() && found.size() <= MOST_NODES) {
            for (String input : left.remove().inputs()) {
                OnnxNode producer = input.isEmpty() ? null : graph.producer(input);
                if (producer != null && found.add(producer)) {
                    left.add(producer);
                }
            }
        }
        Map<String, OnnxNode> ordered = new LinkedHashMap<>();
        graph.nodes().stream()
                .filter(found::contains)
                .forEach(node -> ordered.put(node.output(), node));
        return ordered;
    }

    private boolean isReadBy(Map<String, OnnxNode> nodes, String value) {
        return !graph.isOutput(value)
                && graph.readers(value).stream().allMatch(reader -> nodes.containsValue(reader));
    }

    /** What the nodes compute, one after another; null if it may be larger than the room. */
    private @Nullable ConstantTensor computed(
            List<OnnxNode> nodes, Map<String, ConstantTensor> constants, long room) {
        String last = nodes.getLast().output();
        OnnxModel part = subject.model().fragment(nodes, constants, Map.of(), List.of(last));
        for (OnnxNode node : List.copyOf(part.graph().nodes())) {
            boolean isLast = node.output().equals(last);
            long size = ResultSize.bytes(part.graph(), node);
            ConstantTensor value =
                    size < 0 || size > (isLast ? room : 2 * room) ? null : computed(part, node);
            if (value == null || isLast) {
                return value;
            }
            part.graph().remove(node);
            part.graph().addConstant(node.output(), value);
        }
        return null;
    }

    private static @Nullable ConstantTensor computed(OnnxModel part, OnnxNode node) {
        try {
            return ConstantFolding.compute(part, List.of(node)).get(node.output());
        } catch (EspalierException e) {
            return null; // what the runtime can't compute stays as it is
        }
    }
}
