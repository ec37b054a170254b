package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Extent;
import io.espalier.onnx.shape.Shapes;

import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Resizings that ONNX Runtime can't compute channels last, though it moves transpositions behind
 * them all the same: it then refuses the model, or reads past the scales. It moves none behind a
 * reshaping, though, not even behind one to the shape that a value has.
 */
final class KeptLayout {
    /** Each of four extents as it is. */
    static final ConstantTensor SAME_SHAPE = ConstantTensor.longs(List.of(4L), 0, 0, 0, 0);

    private static final int SCALES = 2;

    private KeptLayout() {}

    /** Those of pictures in a model. */
    static Set<OnnxNode> in(OnnxModel model) {
        var found = new HashSet<OnnxNode>();
        for (OnnxNode node : model.graph().nodes()) {
            if (node.domain().isEmpty() && node.is("Resize") && isBound(node, model.graph())) {
                found.add(node);
            }
        }
        if (!found.isEmpty()) {
            Shapes shapes = Shapes.of(model);
            found.removeIf(node -> {
                List<Extent> shape = shapes.shape(node.input(0));
                return shape == null || shape.size() != SAME_SHAPE.elements();
            });
        }
        return found;
    }

    /** Named axes stay those of channels first; cubic ones only become more in other layouts. */
    private static boolean isBound(OnnxNode resize, OnnxGraph graph) {
        if (!resize.integers("axes").isEmpty()) {
            return true;
        }
        ConstantTensor scales = graph.constant(resize.input(SCALES));
        return resize.text("mode", "nearest").equals("cubic")
                && (scales == null || isShrinking(scales));
    }

    private static boolean isShrinking(ConstantTensor scales) {
        for (float scale : scales.toFloats()) {
            if (scale < 1) {
                return true;
            }
        }
        return scales.elements() == 0;
    }
}
