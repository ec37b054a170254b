package io.espalier.onnx.compare;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.quant.evaluation.TensorErrors;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The errors of the values inside two models that have one name in both.
 *
 * <p>Of all these values so many are taken at a time as fit into a budget; the models run once for
 * each such group.
 */
final class LayerErrors {
    /** For the values of one group of one model. */
    private static final long BUDGET = 64L << 20;

    /** How many values of unknown size are taken at first. */
    private static final int CAUTIOUS = 8;

    /** These make integers, sequences or what is the same in each run. */
    private static final Set<String> NOT_TAPPED =
            Set.of("Constant", "Shape", "Size", "NonZero", "If", "Loop", "Scan");

    private final OnnxSession reference;
    private final OnnxSession candidate;
    private final Map<String, TensorErrors> errors = new LinkedHashMap<>();
    private final Map<String, Long> bytes = new HashMap<>();

    private LayerErrors(OnnxSession reference, OnnxSession candidate, List<String> names) {
        this.reference = reference;
        this.candidate = candidate;
        names.forEach(name -> errors.put(name, new TensorErrors()));
    }

    /** The errors by name, in the reference's order, of those values that could be compared. */
    static Map<String, TensorErrors> of(
            OnnxModel reference,
            OnnxModel candidate,
            InputBatches inputs,
            ComparisonSettings settings) {
        List<String> names = matching(reference.graph(), candidate.graph());
        if (names.isEmpty()) {
            return Map.of();
        }
        try (OnnxSession first = tapped(reference, names, settings);
                OnnxSession second = tapped(candidate, names, settings)) {
            var layers = new LayerErrors(first, second, names);
            for (Map<String, Tensor> batch : inputs) {
                layers.add(batch);
                settings.afterBatch().run();
            }
            return layers.errors;
        }
    }

    private static OnnxSession tapped(
            OnnxModel model, List<String> names, ComparisonSettings settings) {
        return OnnxSession.open(
                model, session -> session.threads(settings.threads()).tapping(names));
    }

    private static List<String> matching(OnnxGraph reference, OnnxGraph candidate) {
        var names = new ArrayList<String>();
        for (OnnxNode node : reference.nodes()) {
            for (String output : node.outputs()) {
                OnnxNode other = candidate.producer(output);
                if (other != null
                        && !output.isEmpty()
                        && !reference.isOutput(output)
                        && !candidate.isOutput(output)
                        && isTapped(node)
                        && isTapped(other)) {
                    names.add(output);
                }
            }
        }
        return names;
    }

    private static boolean isTapped(OnnxNode node) {
        return !NOT_TAPPED.contains(node.op())
                && !node.op().contains("Sequence")
                && !node.op().contains("Optional");
    }

    private void add(Map<String, Tensor> batch) {
        List<String> names = List.copyOf(errors.keySet());
        for (int first = 0; first < names.size(); ) {
            int end = end(names, first);
            List<String> group = names.subList(first, end);
            try (var scope = new PointerScope()) {
                Map<String, Tensor> expected = reference.run(batch, group);
                Map<String, Tensor> found = candidate.run(batch, group);
                group.forEach(name -> add(name, expected, found));
            }
            first = end;
        }
    }

    /** Where the group ends that begins with this value. */
    private int end(List<String> names, int first) {
        long unknown =
                bytes.values().stream().mapToLong(size -> size).max().orElse(BUDGET / CAUTIOUS);
        int end = first;
        long sum = 0;
        do {
            sum += bytes.getOrDefault(names.get(end), unknown);
            end++;
        } while (end < names.size() && sum + bytes.getOrDefault(names.get(end), unknown) <= BUDGET);
        return end;
    }

    private void add(
            String name, Map<String, Tensor> expectedByName, Map<String, Tensor> foundByName) {
        TensorErrors sum = errors.get(name);
        Tensor expected = expectedByName.get(name);
        Tensor found = foundByName.get(name);
        if (sum == null
                || expected == null
                || found == null
                || !expected.is_floating_point()
                || !found.is_floating_point()
                || !Arrays.equals(Tensors.shape(expected), Tensors.shape(found))) {
            errors.remove(name);
            return;
        }
        bytes.put(name, Math.max(1, expected.nbytes()));
        try (var scope = new PointerScope()) {
            sum.add(expected, found);
        }
    }
}
