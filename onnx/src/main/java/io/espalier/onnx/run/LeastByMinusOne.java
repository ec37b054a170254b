package io.espalier.onnx.run;

import static java.util.Objects.requireNonNull;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Divisions of the least integer by -1, whose quotient no such integer holds: ONNX Runtime leaves
 * them to the processor, which stops the process. Those are found that are the same in each run,
 * and that the runtime may compute as soon as a model is opened.
 */
final class LeastByMinusOne {
    private final OnnxModel model;
    private final Set<String> fixed = new HashSet<>();

    private LeastByMinusOne(OnnxModel model) {
        this.model = model;
    }

    /**
     * Refuses a model with such a division.
     *
     * @throws EspalierException with the node that divides
     */
    static void requireNone(OnnxModel model) {
        var search = new LeastByMinusOne(model);
        OnnxGraph graph = model.graph();
        if (divide(graph.nodes())) {
            search.look(graph.nodes(), new HashMap<>(graph.constants()), true);
        }
        model.functions()
                .forEach(function ->
                        search.look(nodes(function.getNodeList()), new HashMap<>(), false));
    }

    private static List<OnnxNode> nodes(List<NodeProto> protos) {
        return protos.stream().map(OnnxNode::of).toList();
    }

    private static boolean divide(List<OnnxNode> nodes) {
        return nodes.stream()
                .anyMatch(node ->
                        divides(node)
                                || node.subgraphs().stream()
                                        .anyMatch(inner -> divide(nodes(inner.getNodeList()))));
    }

    private static boolean divides(OnnxNode node) {
        return (node.is("Div") || node.is("Mod")) && node.inputs().size() == 2;
    }

    private void look(List<OnnxNode> nodes, Map<String, ConstantTensor> known, boolean outermost) {
        for (OnnxNode node : nodes) {
            if (node.is("Constant")) {
                ConstantTensor value = value(node);
                if (value != null) {
                    known.put(node.output(), value);
                }
            }
            if (outermost && isFixed(node, known)) {
                fixed.addAll(node.outputs());
            }
            if (divides(node)) {
                require(node, known);
            }
            for (GraphProto inner : node.subgraphs()) {
                List<OnnxNode> within = nodes(inner.getNodeList());
                if (divide(within)) {
                    var seen = new HashMap<>(known);
                    inner.getInitializerList()
                            .forEach(t -> seen.put(t.getName(), ConstantTensor.of(t)));
                    look(within, seen, false);
                }
            }
        }
    }

    private static @Nullable ConstantTensor value(OnnxNode node) {
        if (node.has("value_int")) {
            return ConstantTensor.longs(List.of(), node.integer("value_int", 0));
        }
        if (node.has("value_ints")) {
            List<Long> all = node.integers("value_ints");
            return ConstantTensor.longs(
                    List.of((long) all.size()), all.stream().mapToLong(Long::longValue).toArray());
        }
        return node.has("value") ? node.tensor("value") : null;
    }

    /** Whether a node gives the same in each run. */
    private boolean isFixed(OnnxNode node, Map<String, ConstantTensor> known) {
        return node.subgraphs().isEmpty()
                && node.inputs().stream()
                        .allMatch(in -> in.isEmpty() || known.containsKey(in) || fixed.contains(in))
                && (!node.inputs().isEmpty() || node.is("Constant"));
    }

    private void require(OnnxNode node, Map<String, ConstantTensor> known) {
        ConstantTensor over = known.get(node.input(0));
        ConstantTensor by = known.get(node.input(1));
        boolean safe = (over != null && !holdsLeast(over)) || (by != null && !holds(by, -1));
        if (safe) {
            return;
        }
        if (over != null && by != null) {
            refuseIf(meet(over, by), node, over.type());
        } else if (fixed.contains(node.output())) {
            List<ConstantTensor> operands = operands(node, known);
            ElementType type = operands.getFirst().type();
            refuseIf(
                    holdsLeast(operands.getFirst())
                            && holds(operands.getLast(), -1)
                            && meet(operands.getFirst(), operands.getLast()),
                    node,
                    type);
        }
    }

    private static void refuseIf(boolean stops, OnnxNode node, ElementType type) {
        if (stops) {
            throw new EspalierException(
                    "The node '%s' divides the least %s by -1, at which ONNX Runtime ends the whole process; mend the model."
                            .formatted(node.name(), type));
        }
    }

    private static boolean holdsLeast(ConstantTensor tensor) {
        return least(tensor.type()).filter(least -> holds(tensor, least)).isPresent();
    }

    /** Of the integers that the processor divides as they are; shorter ones are widened before. */
    private static Optional<Long> least(ElementType type) {
        return switch (type) {
            case INT32 -> Optional.of((long) Integer.MIN_VALUE);
            case INT64 -> Optional.of(Long.MIN_VALUE);
            default -> Optional.empty();
        };
    }

    private static boolean holds(ConstantTensor tensor, long number) {
        if (least(tensor.type()).isEmpty()) {
            return false;
        }
        for (long element : tensor.toLongs()) {
            if (element == number) {
                return true;
            }
        }
        return false;
    }

    /** Whether the one is divided by the other where shapes are brought together. */
    private static boolean meet(ConstantTensor over, ConstantTensor by) {
        for (int i = 1; i <= Math.min(over.shape().size(), by.shape().size()); i++) {
            long one = over.shape().get(over.shape().size() - i);
            long other = by.shape().get(by.shape().size() - i);
            if (one != other && one != 1 && other != 1) {
                return false; // the runtime refuses it before it divides
            }
        }
        long least = least(over.type()).orElseThrow();
        try (var scope = new PointerScope()) {
            return over.toTensor()
                    .eq(new Scalar(least))
                    .logical_and(by.toTensor().eq(new Scalar(-1L)))
                    .any()
                    .item_bool();
        }
    }

    /** What a node of this graph divides by what, as the runtime computes it. */
    private List<ConstantTensor> operands(OnnxNode node, Map<String, ConstantTensor> known) {
        var before = new LinkedHashMap<String, OnnxNode>();
        var constants = new LinkedHashMap<String, ConstantTensor>();
        var open = new ArrayList<>(node.inputs());
        while (!open.isEmpty()) {
            String value = open.removeLast();
            OnnxNode producer = model.graph().producer(value);
            ConstantTensor constant = known.get(value);
            if (constant != null && producer == null) {
                constants.put(value, constant);
            } else if (producer != null && before.put(value, producer) == null) {
                open.addAll(producer.inputs());
            }
        }
        Set<OnnxNode> all = new HashSet<>(before.values());
        List<OnnxNode> ordered = model.graph().nodes().stream().filter(all::contains).toList();
        var asked = new HashSet<>(node.inputs());
        asked.removeAll(constants.keySet());
        try (var scope = new PointerScope();
                var session =
                        OnnxSession.open(
                                model.fragment(ordered, constants, Map.of(), asked),
                                settings -> settings.threads(1).optimized(false))) {
            Map<String, Tensor> found = session.run(Map.of());
            return node.inputs().stream()
                    .map(name -> {
                        ConstantTensor constant = constants.get(name);
                        return constant != null
                                ? constant
                                : ConstantTensor.of(requireNonNull(found.get(name)));
                    })
                    .toList();
        }
    }
}
