package io.espalier.onnx.lower;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.repair.Pass;
import io.espalier.onnx.repair.Repair;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Brings a model into the form from which layers are made: constants in sight, layers that were
 * spelled out as one operator each. Nothing is folded into a weight, so that training finds all
 * that it may change.
 *
 * @param model the prepared model
 * @param weights the names of its constants that the file holds beside its nodes, or that are made
 *     of such
 */
record Preparation(OnnxModel model, Set<String> weights) {
    private static final List<Pass> PASSES =
            Stream.of(
                            "functions",
                            "constant-folding",
                            "no-operations",
                            "shape-arithmetic",
                            "branches",
                            "opset",
                            "layer-normalization",
                            "gelu",
                            "hard-swish",
                            "sigmoid",
                            "dead-code")
                    .map(Repair::pass)
                    .toList();

    static Preparation of(OnnxModel model) {
        OnnxModel fixed = model.rewritten(OnnxGraph::takeDefaults);
        return new Preparation(
                ComputedWeights.fold(Repair.run(fixed, PASSES).model()), weights(fixed.graph()));
    }

    private static Set<String> weights(OnnxGraph graph) {
        Set<String> weights = new HashSet<>();
        graph.constants()
                .forEach((name, constant) -> {
                    if (constant.type().isFloating()) {
                        weights.add(name);
                    }
                });
        Set<String> constant = new HashSet<>(graph.constants().keySet());
        for (OnnxNode node : graph.nodes()) {
            if (constant.containsAll(node.inputs()) && node.subgraphs().isEmpty()) {
                constant.addAll(node.outputs());
                if (node.inputs().stream().anyMatch(weights::contains)) {
                    weights.addAll(node.outputs());
                }
            }
        }
        return weights;
    }

    /** Whether training may change a constant. */
    boolean isTrainable(String name, ConstantTensor constant) {
        return weights.contains(name) && constant.type().isFloating() && constant.elements() > 1;
    }
}
