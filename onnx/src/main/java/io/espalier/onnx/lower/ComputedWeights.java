package io.espalier.onnx.lower;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;

import org.bytedeco.javacpp.PointerScope;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * Weights of recurrent layers that a file computes of constants, such as integers times their
 * scales. Libtorch's layers want the numbers, so they are computed once.
 */
final class ComputedWeights {
    private static final Set<String> RECURRENT = Set.of("LSTM", "GRU", "RNN");
    private static final int FIRST = 1;
    private static final int LAST = 3;

    private ComputedWeights() {}

    /** The model with such weights as constants; itself, if it has none. */
    static OnnxModel fold(OnnxModel model) {
        OnnxGraph graph = model.graph();
        Set<String> fixed = new LinkedHashSet<>(graph.constants().keySet());
        Map<String, OnnxNode> makers = new LinkedHashMap<>();
        for (OnnxNode node : graph.nodes()) {
            boolean computes =
                    node.outputs().size() == 1
                            && !node.inputs().isEmpty()
                            && !graph.isOutput(node.output())
                            && node.subgraphs().isEmpty()
                            && node.inputs().stream()
                                    .allMatch(i -> i.isEmpty() || fixed.contains(i));
            if (computes) {
                fixed.add(node.output());
                makers.put(node.output(), node);
            }
        }
        Set<String> wanted = new LinkedHashSet<>();
        for (OnnxNode node : graph.nodes()) {
            for (int place = FIRST; place <= LAST && isRecurrent(node); place++) {
                if (makers.containsKey(node.input(place))) {
                    wanted.add(node.input(place));
                }
            }
        }
        return wanted.isEmpty() ? model : folded(model, makers, wanted);
    }

    private static boolean isRecurrent(OnnxNode node) {
        return node.domain().isEmpty() && RECURRENT.contains(node.op());
    }

    private static OnnxModel folded(
            OnnxModel model, Map<String, OnnxNode> makers, Set<String> wanted) {
        Set<OnnxNode> needed = new LinkedHashSet<>();
        List<String> open = new ArrayList<>(wanted);
        while (!open.isEmpty()) {
            OnnxNode maker = makers.get(open.removeLast());
            if (maker != null && needed.add(maker)) {
                open.addAll(maker.inputs());
            }
        }
        List<OnnxNode> inOrder = model.graph().nodes().stream().filter(needed::contains).toList();
        Map<String, ConstantTensor> constants = new LinkedHashMap<>();
        for (OnnxNode node : inOrder) {
            for (String input : node.inputs()) {
                ConstantTensor constant = model.graph().constant(input);
                if (constant != null) {
                    constants.put(input, constant);
                }
            }
        }
        Map<String, ConstantTensor> results = new LinkedHashMap<>();
        try (var scope = new PointerScope();
                var session =
                        OnnxSession.open(
                                model.fragment(inOrder, constants, Map.of(), wanted),
                                settings -> settings.threads(1).optimized(false))) {
            session.run(Map.of())
                    .forEach((name, tensor) -> results.put(name, ConstantTensor.of(tensor)));
        }
        return model.rewritten(graph -> {
            results.forEach((name, constant) -> {
                graph.remove(Objects.requireNonNull(makers.get(name), name));
                graph.addConstant(name, constant);
            });
            graph.removeUnused();
        });
    }
}
