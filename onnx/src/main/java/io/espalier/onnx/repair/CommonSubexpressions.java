package io.espalier.onnx.repair;

import com.google.protobuf.ByteString;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What is computed or kept twice, once. */
final class CommonSubexpressions {
    /**
     * Operators that give another result each time, or that runtimes want one of for each reader.
     */
    private static final Set<String> APART =
            Set.of(
                    "RandomNormal",
                    "RandomNormalLike",
                    "RandomUniform",
                    "RandomUniformLike",
                    "Multinomial",
                    "Bernoulli",
                    "Dropout",
                    "QuantizeLinear",
                    "DequantizeLinear");

    private static final long HASHED_BYTES = 1L << 20;

    private CommonSubexpressions() {}

    /** Nodes that call the same operator on the same values. */
    static int join(Subject subject) {
        OnnxGraph graph = subject.graph();
        int changes = joinConstants(graph, WeightedLayer.SMALL);
        var seen = new HashMap<ByteString, OnnxNode>();
        for (OnnxNode node : graph.nodes()) {
            // The nodes before have given their readers other names, so this one may be another.
            OnnxNode now = graph.producer(node.output());
            if (now == null || !canJoin(now)) {
                continue;
            }
            OnnxNode first = seen.putIfAbsent(key(now), now);
            if (first != null && subject.isThere(first) && fits(graph, first, now)) {
                for (int i = 0; i < now.outputs().size(); i++) {
                    if (!now.output(i).isEmpty()) {
                        graph.replaceReads(now.output(i), first.output(i));
                    }
                }
                graph.remove(now);
                changes++;
            }
        }
        return changes;
    }

    private static boolean canJoin(OnnxNode node) {
        boolean known = node.domain().isEmpty() || node.domain().equals(OnnxNode.MICROSOFT);
        return known && node.subgraphs().isEmpty() && !APART.contains(node.op());
    }

    private static ByteString key(OnnxNode node) {
        return node.toProto().toBuilder()
                .clearName()
                .clearOutput()
                .clearDocString()
                .clearMetadataProps()
                .build()
                .toByteString();
    }

    /** Whether one node's results can stand for the other's, of which the graph gives none. */
    private static boolean fits(OnnxGraph graph, OnnxNode first, OnnxNode second) {
        for (int i = 0; i < second.outputs().size(); i++) {
            boolean wanted = !second.output(i).isEmpty();
            if (wanted && (first.output(i).isEmpty() || graph.isOutput(second.output(i)))) {
                return false;
            }
        }
        return true;
    }

    /** Constants of the same type, shape and bytes, of any size. */
    static int joinConstants(Subject subject) {
        return joinConstants(subject.graph(), Long.MAX_VALUE);
    }

    private record Kind(ElementType type, List<Long> shape) {}

    private static int joinConstants(OnnxGraph graph, long mostBytes) {
        var kinds = new LinkedHashMap<Kind, Map<String, ConstantTensor>>();
        for (String name : graph.constants().keySet()) {
            ConstantTensor constant = graph.constant(name);
            if (constant != null
                    && constant.type() != ElementType.STRING
                    && constant.byteSize() <= mostBytes
                    && !graph.isOutput(name)) {
                kinds.computeIfAbsent(
                                new Kind(constant.type(), constant.shape()),
                                kind -> new LinkedHashMap<>())
                        .put(name, constant);
            }
        }
        return kinds.values().stream()
                .filter(constants -> constants.size() > 1)
                .mapToInt(constants -> joinEqual(graph, constants))
                .sum();
    }

    private static int joinEqual(OnnxGraph graph, Map<String, ConstantTensor> constants) {
        var byHash = new HashMap<Integer, Map<String, MemorySegment>>();
        int changes = 0;
        for (Map.Entry<String, ConstantTensor> constant : constants.entrySet()) {
            MemorySegment bytes = constant.getValue().bytes();
            Map<String, MemorySegment> others =
                    byHash.computeIfAbsent(hash(bytes), hash -> new LinkedHashMap<>());
            Optional<String> equal =
                    others.entrySet().stream()
                            .filter(other -> other.getValue().mismatch(bytes) < 0)
                            .map(Map.Entry::getKey)
                            .findFirst();
            if (equal.isPresent()) {
                graph.replaceReads(constant.getKey(), equal.get());
                changes++;
            } else {
                others.put(constant.getKey(), bytes);
            }
        }
        return changes;
    }

    /** Of the first megabytes, which tell most tensors apart. */
    private static int hash(MemorySegment bytes) {
        return bytes.asSlice(0, Math.min(bytes.byteSize(), HASHED_BYTES)).asByteBuffer().hashCode();
    }
}
