package io.espalier.onnx.repair;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Extent;
import io.espalier.onnx.shape.Shapes;

import org.jspecify.annotations.Nullable;

import java.util.List;

/** A model that a pass rewrites, and what is known of its values. */
final class Subject {
    private final OnnxModel model;
    private @Nullable Shapes shapes;

    Subject(OnnxModel model) {
        this.model = model;
    }

    OnnxModel model() {
        return model;
    }

    OnnxGraph graph() {
        return model.graph();
    }

    long opset() {
        return model.opset();
    }

    /** Whether a node is still in the graph. */
    boolean isThere(OnnxNode node) {
        return node.outputs().stream()
                .filter(output -> !output.isEmpty())
                .anyMatch(output -> graph().producer(output) == node);
    }

    /** What is known of the values, as they were when this was first asked. */
    Shapes shapes() {
        if (shapes == null) {
            shapes = Shapes.of(model);
        }
        return shapes;
    }

    /** The number of a value's dimensions; -1 if it isn't known. */
    int rank(String value) {
        List<Extent> shape = shapes().shape(value);
        return shape == null ? -1 : shape.size();
    }

    /** The type of a value's elements; null if it isn't known. */
    @Nullable ElementType type(String value) {
        return shapes().elements(value);
    }

    /** How long a value is along a dimension; -1 if it isn't known, or not the same in each run. */
    long extent(String value, int axis) {
        List<Extent> shape = shapes().shape(value);
        return shape == null || axis >= shape.size() || !shape.get(axis).isKnown()
                ? -1
                : shape.get(axis).value();
    }
}
