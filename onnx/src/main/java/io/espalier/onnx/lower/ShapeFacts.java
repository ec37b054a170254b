package io.espalier.onnx.lower;

import io.espalier.graph.Size;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.shape.Extent;
import io.espalier.onnx.shape.Shapes;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What shape inference knows, in the expressions of core's graphs. */
final class ShapeFacts implements Facts {
    private static final long MOST_INTEGERS = 1024;
    private static final Size UNKNOWN = new Size.Unknown();

    private final OnnxGraph graph;
    private final Shapes shapes;
    private final Map<String, Size> names = new HashMap<>();

    ShapeFacts(OnnxGraph graph, Shapes shapes) {
        this.graph = graph;
        this.shapes = shapes;
    }

    @Override
    public @Nullable ElementType type(String value) {
        return shapes.elements(value);
    }

    @Override
    public @Nullable List<Size> shape(String value) {
        List<Extent> shape = shapes.shape(value);
        return shape == null ? null : shape.stream().map(this::size).toList();
    }

    @Override
    public @Nullable List<Size> integers(String value) {
        ConstantTensor constant = graph.constant(value);
        if (constant != null) {
            boolean small = constant.elements() <= MOST_INTEGERS;
            return switch (constant.type()) {
                case INT64, INT32, INT16, INT8, UINT8, UINT16, UINT32, BOOL ->
                        small
                                ? Arrays.stream(constant.toLongs())
                                        .mapToObj(number -> (Size) new Size.Fixed(number))
                                        .toList()
                                : null;
                default -> null;
            };
        }
        if (graph.producer(value) == null) {
            return null;
        }
        List<Extent> known = shapes.integers(value);
        if (known == null) {
            return null;
        }
        List<Size> integers = known.stream().map(this::size).toList();
        return integers.contains(UNKNOWN) ? null : integers;
    }

    private Size size(Extent extent) {
        Size size = extent.toSize(this::named);
        return size == null ? UNKNOWN : size;
    }

    /** A free dimension of the inputs; null for what only a run decides. */
    private @Nullable Size named(String name) {
        if (name.startsWith("?")) {
            return null;
        }
        return names.computeIfAbsent(name, this::fresh);
    }

    private Size fresh(String name) {
        String clean = name.replaceAll("\\W", "_");
        if (!clean.matches("[A-Za-z_]\\w*") || clean.equals("size")) {
            clean = "d_" + clean;
        }
        String free = clean;
        for (int i = 1; names.containsValue(new Size.Free(free)); i++) {
            free = clean + "_" + i;
        }
        return new Size.Free(free);
    }
}
