package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Channels between two layers that are zero in each run, or that the second multiplies by zero:
 * taken out of both.
 */
final class DeadChannels {
    /** Operators of one input that make zeros of zeros, and keep channels apart. */
    private static final Set<String> ZERO_TO_ZERO =
            Set.of(
                    "Relu",
                    "LeakyRelu",
                    "Elu",
                    "HardSwish",
                    "Gelu",
                    "Tanh",
                    "Abs",
                    "Neg",
                    "MaxPool",
                    "AveragePool",
                    "GlobalAveragePool",
                    "GlobalMaxPool");

    /** ONNX Runtime's convolutions go in blocks of channels; half a block is no faster. */
    private static final int BLOCK = 16;

    private DeadChannels() {}

    static int remove(Subject subject) {
        int changes = 0;
        for (OnnxNode node : subject.graph().nodes()) {
            changes += subject.isThere(node) ? remove(subject, node) : 0;
        }
        return changes;
    }

    private static int remove(Subject subject, OnnxNode node) {
        OnnxGraph graph = subject.graph();
        WeightedLayer first = WeightedLayer.of(subject, node);
        if (first == null || !first.isDense()) {
            return 0;
        }
        var between = new ArrayList<String>();
        between.add(first.output());
        OnnxNode reader = graph.onlyReader(first.output());
        while (reader != null && isZeroToZero(reader)) {
            between.add(reader.output());
            reader = graph.onlyReader(reader.output());
        }
        WeightedLayer second = reader == null ? null : WeightedLayer.of(subject, reader);
        if (second == null
                || !second.isDense()
                || !second.input().equals(between.getLast())
                || second.getClass() != first.getClass()
                || second.inputs() != first.outputs()) {
            return 0;
        }
        int[] kept = kept(first, second);
        if (kept == null) {
            return 0;
        }
        between.forEach(graph::forgetType);
        first.keepOutputs(kept);
        second.keepInputs(kept);
        return first.outputs() - kept.length;
    }

    private static boolean isZeroToZero(OnnxNode node) {
        boolean known = node.domain().isEmpty() || node.domain().equals(OnnxNode.MICROSOFT);
        return known
                && ZERO_TO_ZERO.contains(node.op())
                && node.inputs().size() == 1
                && node.outputs().size() == 1;
    }

    /** The channels to keep, whole blocks of them where there were whole ones; null for all. */
    private static int @Nullable [] kept(WeightedLayer first, WeightedLayer second) {
        int channels = first.outputs();
        boolean[] alive = first.writes();
        boolean[] read = second.reads();
        List<Integer> living =
                IntStream.range(0, channels).filter(i -> alive[i] && read[i]).boxed().toList();
        List<Integer> dead =
                IntStream.range(0, channels).filter(i -> !alive[i] || !read[i]).boxed().toList();
        int block = channels % BLOCK == 0 ? BLOCK : 1;
        int count = Math.max(block, Math.ceilDiv(living.size(), block) * block);
        if (count >= channels) {
            return null;
        }
        var kept = new ArrayList<>(living);
        kept.addAll(dead.subList(0, count - living.size()));
        return kept.stream().mapToInt(Integer::intValue).sorted().toArray();
    }
}
