package io.espalier.onnx.compare;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.shape.Shapes;
import io.espalier.quant.evaluation.TensorErrors;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

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
 * <p>Of all these values so many are taken at a time as fit into a budget, by their inferred sizes
 * at first and then by those seen; the models run once for each such group.
 */
final class LayerErrors {
    /** Bytes of the values of one group of one model. */
    private static final long BUDGET = 256L << 20;

    /** What a value is taken to have whose size can't be inferred. */
    private static final long UNKNOWN = 16L << 20;

    /** These may give what is no tensor, or are the same in each run. */
    private static final Set<String> NOT_TAPPED = Set.of("Constant", "If", "Loop", "Scan");

    private final OnnxSession reference;
    private final OnnxSession candidate;
    private final Map<String, Errors> errors = new LinkedHashMap<>();
    private final Map<String, Long> bytes = new HashMap<>();

    private LayerErrors(OnnxSession reference, OnnxSession candidate, List<String> names) {
        this.reference = reference;
        this.candidate = candidate;
        names.forEach(name -> errors.put(name, new Errors()));
    }

    /** Of one value. */
    record Errors(TensorErrors all, ShiftFreeError shiftFree) {
        Errors() {
            this(new TensorErrors(), new ShiftFreeError());
        }
    }

    /** The errors by name, in the reference's order, of those values that could be compared. */
    static Map<String, Errors> of(
            OnnxModel reference,
            OnnxModel candidate,
            InputBatches inputs,
            ComparisonSettings settings) {
        Map<String, List<Long>> extents = extents(inputs);
        Shapes shapes = Shapes.of(reference, extents);
        List<String> names = matching(reference, candidate, shapes, Shapes.of(candidate, extents));
        if (names.isEmpty()) {
            return Map.of();
        }
        try (OnnxSession first = tapped(reference, names, settings);
                OnnxSession second = tapped(candidate, names, settings)) {
            var layers = new LayerErrors(first, second, names);
            names.forEach(name -> layers.bytes.put(name, bytes(shapes, name)));
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

    /** The extents of the first batch. */
    private static Map<String, List<Long>> extents(InputBatches inputs) {
        var extents = new HashMap<String, List<Long>>();
        try (var loop = inputs.iterator()) {
            loop.next()
                    .forEach((name, tensor) ->
                            extents.put(
                                    name, Arrays.stream(Tensors.shape(tensor)).boxed().toList()));
        }
        return extents;
    }

    private static List<String> matching(
            OnnxModel reference, OnnxModel candidate, Shapes shapes, Shapes others) {
        var names = new ArrayList<String>();
        for (OnnxNode node : reference.graph().nodes()) {
            for (String output : node.outputs()) {
                OnnxNode other = candidate.graph().producer(output);
                if (other != null
                        && !output.isEmpty()
                        && !reference.graph().isOutput(output)
                        && !candidate.graph().isOutput(output)
                        && isTapped(node)
                        && isTapped(other)
                        && mayMatch(shapes, others, output)) {
                    names.add(output);
                }
            }
        }
        return names;
    }

    /** Whether nothing that is known of it speaks against comparing a value. */
    private static boolean mayMatch(Shapes shapes, Shapes others, String value) {
        ElementType elements = shapes.elements(value);
        ElementType otherElements = others.elements(value);
        List<Long> extents = shapes.extents(value);
        List<Long> otherExtents = others.extents(value);
        return (elements == null || elements.isFloating())
                && (otherElements == null || otherElements.isFloating())
                && (extents == null || otherExtents == null || extents.equals(otherExtents));
    }

    private static long bytes(Shapes shapes, String value) {
        ElementType elements = shapes.elements(value);
        List<Long> extents = shapes.extents(value);
        return elements == null || extents == null
                ? UNKNOWN
                : elements.bytes(extents.stream().reduce(1L, Math::multiplyExact));
    }

    private static boolean isTapped(OnnxNode node) {
        return !NOT_TAPPED.contains(node.op())
                && !node.op().contains("Sequence")
                && !node.op().contains("Optional");
    }

    private void add(Map<String, Tensor> batch) {
        List<String> names = List.copyOf(errors.keySet());
        Padding padding = Padding.of(batch);
        for (int first = 0; first < names.size(); ) {
            int end = end(names, first);
            List<String> group = names.subList(first, end);
            try (var scope = new PointerScope()) {
                Map<String, Tensor> expected = reference.run(batch, group);
                Map<String, Tensor> found = candidate.run(batch, group);
                group.forEach(name -> add(name, expected.get(name), found.get(name), padding));
            }
            first = end;
        }
    }

    /** Where the group ends that begins with this value. */
    private int end(List<String> names, int first) {
        int end = first;
        long sum = 0;
        do {
            sum += size(names.get(end));
            end++;
        } while (end < names.size() && sum + size(names.get(end)) <= BUDGET);
        return end;
    }

    private long size(String name) {
        return bytes.getOrDefault(name, UNKNOWN);
    }

    private void add(
            String name, @Nullable Tensor expected, @Nullable Tensor found, Padding padding) {
        Errors sum = errors.get(name);
        if (sum == null
                || expected == null
                || found == null
                || !expected.is_floating_point()
                || !found.is_floating_point()
                || !Arrays.equals(Tensors.shape(expected), Tensors.shape(found))) {
            errors.remove(name);
            return;
        }
        bytes.put(name, expected.nbytes());
        sum.all().add(padding.visible(expected), padding.visible(found));
        sum.shiftFree().add(padding.visible(expected), padding.visible(found));
    }
}
