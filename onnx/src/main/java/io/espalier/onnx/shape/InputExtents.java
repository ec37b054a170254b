package io.espalier.onnx.shape;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.proto.TensorShapeProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** The extents that a graph's inputs may have, and those that a caller wants them to have. */
final class InputExtents {
    private final OnnxGraph graph;
    private final Set<String> names = new HashSet<>();

    InputExtents(OnnxGraph graph) {
        this.graph = graph;
        for (ValueInfoProto input : graph.inputs()) {
            for (TensorShapeProto.Dimension dim : dimensions(input)) {
                if (Declared.isNamed(dim)) {
                    names.add(dim.getDimParam());
                }
            }
        }
    }

    private static List<TensorShapeProto.Dimension> dimensions(ValueInfoProto input) {
        return input.getType().getTensorType().getShape().getDimList();
    }

    /** The name of a free dimension of an input. */
    private String name(ValueInfoProto input, int dim) {
        TensorShapeProto.Dimension declared = dimensions(input).get(dim);
        if (Declared.isNamed(declared)) {
            return declared.getDimParam();
        }
        String name = input.getName() + "_" + dim;
        while (names.contains(name)) {
            name += "_";
        }
        return name;
    }

    /** What is known of an input where free dimensions have these sizes. */
    ValueType type(ValueInfoProto input, Map<String, Long> sizes, @Nullable List<Long> given) {
        var elements = ValueType.elements(input.getType());
        if (Declared.hasShape(input.getType())) {
            return new ValueType(
                    elements,
                    Declared.shape(input.getType(), sizes, dim -> Extent.named(name(input, dim))));
        }
        return new ValueType(
                elements, given == null ? null : given.stream().map(Extent::of).toList());
    }

    /** The sizes of free dimensions where inputs have these extents. */
    Map<String, Long> sizes(Map<String, List<Long>> extents) {
        var sizes = new HashMap<String, Long>();
        extents.forEach((name, lengths) -> {
            ValueInfoProto input = input(name);
            if (lengths.stream().anyMatch(length -> length < 0)) {
                throw new EspalierException(
                        "The extents of '" + name + "' are 0 or more; given were " + lengths + ".");
            }
            if (Declared.hasShape(input.getType())) {
                bind(input, lengths, sizes);
            }
        });
        return sizes;
    }

    private ValueInfoProto input(String name) {
        return graph.inputs().stream()
                .filter(input -> input.getName().equals(name))
                .findFirst()
                .orElseThrow(() ->
                        new EspalierException(
                                "No input '%s' in the model; it has: %s."
                                        .formatted(
                                                name,
                                                graph.inputs().stream()
                                                        .map(ValueInfoProto::getName)
                                                        .collect(Collectors.joining(", ")))));
    }

    private void bind(ValueInfoProto input, List<Long> lengths, Map<String, Long> sizes) {
        List<TensorShapeProto.Dimension> declared = dimensions(input);
        if (declared.size() != lengths.size()) {
            throw refused(input, lengths);
        }
        for (int dim = 0; dim < lengths.size(); dim++) {
            TensorShapeProto.Dimension said = declared.get(dim);
            long length = lengths.get(dim);
            if (said.hasDimValue() && said.getDimValue() >= 0) {
                if (said.getDimValue() != length) {
                    throw refused(input, lengths);
                }
                continue;
            }
            String name = name(input, dim);
            Long before = sizes.putIfAbsent(name, length);
            if (before != null && before != length) {
                throw new EspalierException(
                        "The dimension %s can't be %d and %d at once."
                                .formatted(name, before, length));
            }
        }
    }

    private EspalierException refused(ValueInfoProto input, List<Long> lengths) {
        return new EspalierException(
                "The model takes '%s' as %s; given were extents %s."
                        .formatted(input.getName(), type(input, Map.of(), null), lengths));
    }
}
