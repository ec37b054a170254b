package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Nodes that compute the same in each run, replaced by what they compute. ONNX Runtime computes it,
 * by a model of such nodes alone; and only what is no larger than what it is computed from, which
 * goes then.
 */
final class ConstantFolding {
    /** How much is computed by one such model. */
    private static final long MOST_AT_ONCE = 256L << 20;

    private final Subject subject;
    private final OnnxGraph graph;
    private final Set<OnnxNode> refused = new HashSet<>();

    private ConstantFolding(Subject subject) {
        this.subject = subject;
        this.graph = subject.graph();
    }

    static int fold(Subject subject) {
        return new ConstantFolding(subject).fold() + ComputedConstants.fold(subject);
    }

    private int fold() {
        int changes = 0;
        for (OnnxNode node : graph.nodes()) {
            changes += node.is("Constant") && takeOut(node) ? 1 : 0;
        }
        while (true) {
            List<OnnxNode> wave = wave();
            if (wave.isEmpty()) {
                return changes;
            }
            changes += fold(wave);
        }
    }

    /** Makes the value of a Constant one of the graph's own constants. */
    private boolean takeOut(OnnxNode node) {
        ConstantTensor value = graph.isOutput(node.output()) ? null : value(node);
        if (value == null) {
            return false;
        }
        graph.remove(node);
        graph.addConstant(node.output(), value);
        return true;
    }

    private static @Nullable ConstantTensor value(OnnxNode node) {
        if (node.attributes().size() != 1) {
            return null;
        }
        AttributeProto attribute = node.attributes().getFirst();
        return switch (attribute.getName()) {
            case "value" -> node.tensor("value");
            case "value_float" -> ConstantTensor.scalar(attribute.getF());
            case "value_int" -> ConstantTensor.longs(List.of(), attribute.getI());
            case "value_ints" -> longs(attribute.getIntsList());
            case "value_floats" -> floats(attribute.getFloatsList());
            default -> null;
        };
    }

    private static ConstantTensor longs(List<Long> values) {
        return ConstantTensor.longs(
                List.of((long) values.size()),
                values.stream().mapToLong(Long::longValue).toArray());
    }

    private static ConstantTensor floats(List<Float> values) {
        var array = new float[values.size()];
        for (int i = 0; i < array.length; i++) {
            array[i] = values.get(i);
        }
        return ConstantTensor.floats(List.of((long) array.length), array);
    }

    /** Nodes whose inputs are constants, as many as are computed at once. */
    private List<OnnxNode> wave() {
        var wave = new ArrayList<OnnxNode>();
        long bytes = 0;
        for (OnnxNode node : graph.nodes()) {
            if (refused.contains(node) || !reads(node)) {
                continue;
            }
            long size = ResultSize.bytes(graph, node);
            if (size < 0 || size > allowed(node)) {
                refused.add(node);
            } else if (wave.isEmpty() || bytes + size <= MOST_AT_ONCE) {
                wave.add(node);
                bytes += size;
            }
        }
        return wave;
    }

    /** Whether a node reads constants and nothing else, and gives no result of the graph. */
    private boolean reads(OnnxNode node) {
        return node.outputs().size() == 1
                && !graph.isOutput(node.output())
                && !node.inputs().isEmpty()
                && node.subgraphs().isEmpty()
                && node.inputs().stream().allMatch(i -> i.isEmpty() || isNumbers(i));
    }

    private boolean isNumbers(String input) {
        ConstantTensor constant = graph.constant(input);
        return constant != null && constant.type() != ElementType.STRING;
    }

    /** How large a node's result may be: what goes with the node makes room for it. */
    private long allowed(OnnxNode node) {
        long room = node.toProto().getSerializedSize();
        for (String input : new LinkedHashSet<>(node.inputs())) {
            ConstantTensor constant = graph.constant(input);
            if (constant != null && Constants.goesWith(graph, input, node)) {
                room += constant.byteSize();
            }
        }
        return room;
    }

    private int fold(List<OnnxNode> wave) {
        Map<String, ConstantTensor> results;
        try {
            results = compute(subject.model(), wave);
        } catch (EspalierException e) {
            if (wave.size() == 1) {
                // What the runtime can't compute stays as it is.
                refused.add(wave.getFirst());
                return 0;
            }
            return wave.stream().mapToInt(node -> fold(List.of(node))).sum();
        }
        int changes = 0;
        for (OnnxNode node : wave) {
            ConstantTensor result = results.get(node.output());
            if (result == null || result.byteSize() > allowed(node)) {
                refused.add(node);
                continue;
            }
            graph.remove(node);
            graph.addConstant(node.output(), result);
            changes++;
        }
        return changes;
    }

    /** What nodes of constants of a model give. */
    static Map<String, ConstantTensor> compute(OnnxModel model, Collection<OnnxNode> nodes) {
        var constants = new LinkedHashMap<String, ConstantTensor>();
        var outputs = new LinkedHashSet<String>();
        for (OnnxNode node : nodes) {
            outputs.add(node.output());
            for (String input : node.inputs()) {
                ConstantTensor constant = model.graph().constant(input);
                if (constant != null) {
                    constants.put(input, constant);
                }
            }
        }
        var results = new LinkedHashMap<String, ConstantTensor>();
        try (var scope = new PointerScope();
                var session =
                        OnnxSession.open(
                                model.fragment(nodes, constants, Map.of(), outputs),
                                settings -> settings.threads(1).optimized(false))) {
            session.run(Map.of())
                    .forEach((name, tensor) -> results.put(name, ConstantTensor.of(tensor)));
        }
        return results;
    }
}
