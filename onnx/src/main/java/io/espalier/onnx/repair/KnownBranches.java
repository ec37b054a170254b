package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.model.Transplant;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.TensorProto;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Branches that are the same in each run, in the place of the If that chooses them: exporters write
 * one where a dimension is taken out only if its extent is 1.
 */
final class KnownBranches {
    private KnownBranches() {}

    static int inline(Subject subject) {
        OnnxGraph graph = subject.graph();
        Set<String> nodeNames = Transplant.nodeNames(graph);
        int changes = 0;
        for (OnnxNode node : graph.nodes()) {
            GraphProto branch = taken(subject, node);
            if (branch != null) {
                graph.replace(node, nodes(graph, node, branch, nodeNames));
                changes++;
            }
        }
        return changes;
    }

    /** The branch that is taken in each run; null if none is. */
    private static @Nullable GraphProto taken(Subject subject, OnnxNode node) {
        Optional<Boolean> condition =
                node.is("If") ? subject.shapes().truth(node.input(0)) : Optional.empty();
        AttributeProto branch =
                condition.isEmpty()
                        ? null
                        : node.attribute(condition.get() ? "then_branch" : "else_branch");
        return branch != null && branch.hasG() && canBeMoved(branch.getG()) ? branch.getG() : null;
    }

    private static boolean canBeMoved(GraphProto branch) {
        return branch.getSparseInitializerCount() == 0
                && branch.getInitializerList().stream()
                        .allMatch(tensor ->
                                tensor.getDataLocation() != TensorProto.DataLocation.EXTERNAL);
    }

    private static OnnxNode[] nodes(
            OnnxGraph graph, OnnxNode node, GraphProto branch, Set<String> nodeNames) {
        Map<String, String> names = new HashMap<>();
        for (TensorProto tensor : branch.getInitializerList()) {
            names.put(
                    tensor.getName(),
                    graph.addConstant(
                            node.name() + "/" + tensor.getName(), ConstantTensor.of(tensor)));
        }
        var nodes =
                new ArrayList<>(
                        new Transplant(graph, node.name(), Map.of(), nodeNames)
                                .nodes(branch.getNodeList(), names));
        for (int i = 0; i < branch.getOutputCount(); i++) {
            String result = branch.getOutput(i).getName();
            if (!node.output(i).isEmpty()) {
                nodes.add(
                        OnnxNode.of(
                                "Identity",
                                List.of(names.getOrDefault(result, result)),
                                node.output(i)));
            }
        }
        return nodes.toArray(OnnxNode[]::new);
    }
}
