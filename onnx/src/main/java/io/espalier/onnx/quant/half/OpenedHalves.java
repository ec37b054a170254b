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
 * Weights that a file keeps in 16 bits, as floats while layers are looked for, and in 16 bits again
 * where they stayed floats.
 */
public final class OpenedHalves {
    private OpenedHalves() {}

    /** Whether a file keeps such weights. */
    public static boolean isIn(OnnxModel model) {
        OnnxGraph graph = model.graph();
        return graph.constants().values().stream().anyMatch(OpenedHalves::isHalf)
                || graph.nodes().stream()
                        .anyMatch(node -> node.is("Constant") && isHalf(node.tensor("value")));
    }

    private static boolean isHalf(@Nullable ConstantTensor constant) {
        return constant != null && constant.type() == ElementType.FLOAT16;
    }

    /**
     * The model with such weights as floats, with which it computes in 32 bits then, whatever it
     * did; so it does where all its weights are doubles. What it takes and gives stays of its type.
     */
    public static OnnxModel open(OnnxModel model) {
        boolean stores =
                isIn(model) && model.graph().nodes().stream().anyMatch(n -> makesFloats(n));
        return SinglePrecision.of(stores ? stored(model) : model);
    }

    /** The model with those as floats of which it makes floats itself. */
    private static OnnxModel stored(OnnxModel model) {
        OnnxModel plain = Repair.pass("constant-folding").run(model);
        return plain.rewritten(graph -> {
            graph.nodes().forEach(node -> open(graph, node));
            graph.removeUnused();
        });
    }

    static boolean makesFloats(OnnxNode node) {
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
