package io.espalier.onnx.quant.half;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.repair.Repair;

import org.jspecify.annotations.Nullable;

import java.util.List;

/**
 * Weights that a file keeps in 16 bits and computes with in 32, as floats while layers are looked
 * for, and in 16 bits again where they stayed floats.
 */
public final class OpenedHalves {
    private OpenedHalves() {}

    /** Whether a file may keep such weights. */
    public static boolean isIn(OnnxModel model) {
        OnnxGraph graph = model.graph();
        return graph.nodes().stream().anyMatch(OpenedHalves::makesFloats)
                && (graph.constants().values().stream().anyMatch(OpenedHalves::isHalf)
                        || graph.nodes().stream()
                                .anyMatch(node ->
                                        node.is("Constant") && isHalf(node.tensor("value"))));
    }

    private static boolean isHalf(@Nullable ConstantTensor constant) {
        return constant != null && constant.type() == ElementType.FLOAT16;
    }

    /** The model with such weights as floats; itself if it has none. */
    public static OnnxModel open(OnnxModel model) {
        if (!isIn(model)) {
            return model;
        }
        OnnxModel plain = Repair.pass("constant-folding").run(model);
        return plain.rewritten(graph -> {
            graph.nodes().forEach(node -> open(graph, node));
            graph.removeUnused();
        });
    }

    private static boolean makesFloats(OnnxNode node) {
        return node.is("Cast") && node.integer("to", 0) == ElementType.FLOAT.code();
    }

    private static void open(OnnxGraph graph, OnnxNode node) {
        ConstantTensor halves = makesFloats(node) ? graph.constant(node.input(0)) : null;
        if (halves != null && isHalf(halves) && !graph.isOutput(node.output())) {
            graph.remove(node);
            graph.addConstant(
                    node.output(), ConstantTensor.floats(halves.shape(), halves.toFloats()));
        }
    }

    /** The same model with floats that 16 bits hold exactly kept so. */
    public static OnnxModel close(OnnxModel model) {
        return model.rewritten(graph -> {
            for (String name : List.copyOf(graph.constants().keySet())) {
                ConstantTensor constant = graph.constant(name);
                if (constant != null && HalfStorage.isWorth(constant) && !graph.isOutput(name)) {
                    HalfTensor.exact(constant)
                            .ifPresent(halves -> HalfStorage.write(graph, name, halves));
                }
            }
            graph.removeUnused();
        });
    }
}
