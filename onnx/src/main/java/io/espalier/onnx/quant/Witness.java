package io.espalier.onnx.quant;

import io.espalier.onnx.compare.Evidence;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.shape.Shapes;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The value inside a model by which others are judged when its results are one number whatever it
 * is given, as those of a vision transformer are before its classifier has learned anything: the
 * nearest to the results that is not. It is one of the results meanwhile.
 */
final class Witness {
    /** So many values are looked at first, then twice as many each time. */
    private static final int FEW = 8;

    private Witness() {}

    /** The nearest value that differs somewhere for these inputs, if one does. */
    static Optional<String> in(OnnxModel model, Map<String, Tensor> batch, int threads) {
        List<String> values = inside(model);
        int from = 0;
        for (int count = FEW; from < values.size(); count *= 2) {
            int to = Math.min(values.size(), from + count);
            Optional<String> found = firstOf(model, values.subList(from, to), batch, threads);
            if (found.isPresent()) {
                return found;
            }
            from = to;
        }
        return Optional.empty();
    }

    /** The real numbers that nodes make for the results, nearest first. */
    private static List<String> inside(OnnxModel model) {
        OnnxGraph graph = model.graph();
        Shapes shapes = Shapes.of(model);
        Set<String> met = new LinkedHashSet<>();
        var waiting = new ArrayDeque<String>();
        graph.outputs().forEach(output -> waiting.add(output.getName()));
        while (!waiting.isEmpty()) {
            String value = waiting.remove();
            OnnxNode maker = graph.producer(value);
            if (maker != null && met.add(value)) {
                waiting.addAll(maker.reads());
            }
        }
        List<String> values = new ArrayList<>();
        for (String value : met) {
            var elements = shapes.elements(value);
            if (elements != null && elements.isFloating() && !graph.isOutput(value)) {
                values.add(value);
            }
        }
        return values;
    }

    private static Optional<String> firstOf(
            OnnxModel model, List<String> values, Map<String, Tensor> batch, int threads) {
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model, s -> s.threads(threads).tapping(values))) {
            Map<String, Tensor> results = session.run(batch, values);
            return results.entrySet().stream()
                    .filter(result -> says(result.getKey(), result.getValue()))
                    .map(Map.Entry::getKey)
                    .findFirst();
        }
    }

    private static boolean says(String value, Tensor numbers) {
        var evidence = new Evidence();
        evidence.add(value, numbers);
        return evidence.says();
    }

    /** The model that gives the value, too. */
    static OnnxModel shown(OnnxModel model, String value) {
        return model.rewritten(graph -> graph.addOutput(value));
    }

    /** What a model gives, less what the original does not. */
    static OnnxModel hidden(OnnxModel model, OnnxGraph original) {
        List<String> more =
                model.graph().outputs().stream()
                        .map(output -> output.getName())
                        .filter(name -> !original.isOutput(name))
                        .toList();
        return more.isEmpty() ? model : model.rewritten(graph -> more.forEach(graph::removeOutput));
    }
}
