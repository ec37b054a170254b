package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Scales and shifts between convolutions that no weights take in, as one BatchNormalization: ONNX
 * Runtime computes that in the blocked layout of its convolutions, and would leave the layout for
 * an addition.
 */
final class AffineLayout {
    private static final Set<String> BLOCKED = Set.of("Conv", "BatchNormalization", "HardSwish");

    private final Subject subject;
    private final OnnxGraph graph;
    private final Map<Integer, String> means = new HashMap<>();
    private final Map<Integer, String> variances = new HashMap<>();

    private AffineLayout(Subject subject) {
        this.subject = subject;
        this.graph = subject.graph();
    }

    static int normalize(Subject subject) {
        var layout = new AffineLayout(subject);
        int changes = 0;
        for (OnnxNode node : subject.graph().nodes()) {
            changes += subject.isThere(node) && layout.normalize(node) ? 1 : 0;
        }
        return changes;
    }

    private boolean normalize(OnnxNode first) {
        String input = variable(first);
        if (input == null || !isArithmetic(first) || !isBlocked(graph.producer(input))) {
            return false;
        }
        int rank = subject.rank(input);
        int channels = (int) subject.extent(input, 1);
        if (rank != 4 || channels < 1) {
            return false;
        }
        OnnxNode last = null;
        Affine all = null;
        OnnxNode next = first;
        String value = input;
        while (next != null && isArithmetic(next)) {
            Affine affine = Affine.of(graph, next, value, rank, 1, channels);
            if (affine == null) {
                break;
            }
            all = all == null ? affine : all.then(affine);
            last = next;
            value = next.output();
            next = graph.onlyReader(value);
        }
        if (all == null || last == null || !all.shifts()) {
            return false;
        }
        graph.replace(last, normalization(last, input, all));
        return true;
    }

    private static boolean isArithmetic(OnnxNode node) {
        return node.is("Mul") || node.is("Add") || node.is("Sub") || node.is("Div");
    }

    private @Nullable String variable(OnnxNode node) {
        List<String> variables =
                node.inputs().stream().filter(i -> graph.constant(i) == null).toList();
        return variables.size() == 1 ? variables.getFirst() : null;
    }

    private static boolean isBlocked(@Nullable OnnxNode maker) {
        return maker != null && maker.domain().isEmpty() && BLOCKED.contains(maker.op());
    }

    private OnnxNode normalization(OnnxNode last, String input, Affine affine) {
        int channels = affine.channels();
        var scale = new double[channels];
        var shift = new double[channels];
        for (int i = 0; i < channels; i++) {
            scale[i] = affine.scale(i);
            shift[i] = affine.shift(i);
        }
        List<Long> shape = List.of((long) channels);
        String like = last.output();
        return OnnxNode.of(
                        "BatchNormalization",
                        List.of(
                                input,
                                WeightedLayer.add(graph, like + "_scale", shape, scale),
                                WeightedLayer.add(graph, like + "_shift", shape, shift),
                                filled(channels, 0),
                                filled(channels, 1)),
                        last.output())
                .with("epsilon", 0f);
    }

    /** A constant of the same number for each channel, one for all that need it. */
    private String filled(int channels, double value) {
        return (value == 0 ? means : variances)
                .computeIfAbsent(
                        channels,
                        count -> {
                            var values = new double[count];
                            Arrays.fill(values, value);
                            String name = value == 0 ? "no_mean_" : "unit_variance_";
                            return WeightedLayer.add(
                                    graph, name + count, List.of((long) count), values);
                        });
    }
}
