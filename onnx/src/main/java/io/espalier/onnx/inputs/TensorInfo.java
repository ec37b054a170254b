package io.espalier.onnx.inputs;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.proto.TensorShapeProto.Dimension;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Collectors;

/**
 * What a model says of a tensor that it takes or gives.
 *
 * @param extents outermost first; empty if nothing is said of the shape
 */
public record TensorInfo(String name, ElementType type, Optional<List<Extent>> extents) {
    /**
     * One dimension.
     *
     * @param fixed the size, if the model takes only one
     * @param symbol how the model calls it, if it does
     */
    public record Extent(OptionalLong fixed, String symbol) {
        static Extent of(Dimension dimension) {
            // Some exporters write 0 or -1 for a size that may vary.
            return dimension.getDimValue() > 0
                    ? new Extent(OptionalLong.of(dimension.getDimValue()), "")
                    : new Extent(OptionalLong.empty(), dimension.getDimParam());
        }

        @Override
        public String toString() {
            if (fixed.isPresent()) {
                return Long.toString(fixed.getAsLong());
            }
            return symbol.isEmpty() ? "?" : symbol;
        }
    }

    /** Copies the list. */
    public TensorInfo {
        extents = extents.map(List::copyOf);
    }

    static TensorInfo of(ValueInfoProto info) {
        if (info.getType().getValueCase() != TypeProto.ValueCase.TENSOR_TYPE) {
            throw new EspalierException(
                    "The model's input '%s' is no tensor but a %s, which can't be given."
                            .formatted(
                                    info.getName(),
                                    info.getType()
                                            .getValueCase()
                                            .name()
                                            .toLowerCase(Locale.ROOT)
                                            .replace("_type", "")));
        }
        TypeProto.Tensor tensor = info.getType().getTensorType();
        return new TensorInfo(
                info.getName(),
                ElementType.of(tensor.getElemType()),
                tensor.hasShape()
                        ? Optional.of(
                                tensor.getShape().getDimList().stream().map(Extent::of).toList())
                        : Optional.empty());
    }

    /** The size of a dimension, if the model takes only one. */
    OptionalLong fixed(int dimension) {
        return extents.isPresent() && dimension < extents.get().size()
                ? extents.get().get(dimension).fixed()
                : OptionalLong.empty();
    }

    /** How the model calls a dimension; empty if it doesn't. */
    String symbol(int dimension) {
        return extents.isPresent() && dimension < extents.get().size()
                ? extents.get().get(dimension).symbol()
                : "";
    }

    /** Whether a tensor has as many dimensions, and the sizes that are fixed. */
    boolean takes(long... shape) {
        if (extents.isEmpty()) {
            return true;
        }
        boolean fits = extents.get().size() == shape.length;
        for (int d = 0; fits && d < shape.length; d++) {
            OptionalLong fixed = extents.get().get(d).fixed();
            fits = fixed.isEmpty() || fixed.getAsLong() == shape[d];
        }
        return fits;
    }

    /** Whether some tensor is what both say. */
    boolean meets(TensorInfo other) {
        if (!name.equals(other.name) || type != other.type) {
            return false;
        }
        if (extents.isEmpty() || other.extents.isEmpty()) {
            return true;
        }
        int dimensions = extents.get().size();
        boolean fits = other.extents.get().size() == dimensions;
        for (int d = 0; fits && d < dimensions; d++) {
            OptionalLong wanted = fixed(d);
            OptionalLong found = other.fixed(d);
            fits = wanted.isEmpty() || found.isEmpty() || wanted.equals(found);
        }
        return fits;
    }

    /** A tensor as this says it: {@code x: float [N, 3, 48, 320]}. */
    static String describe(String name, Tensor tensor) {
        return name
                + ": "
                + Elements.describe(tensor)
                + " "
                + Arrays.toString(Tensors.shape(tensor));
    }

    @Override
    public String toString() {
        return "%s: %s %s"
                .formatted(
                        name,
                        type.name().toLowerCase(Locale.ROOT),
                        extents.map(all ->
                                        all.stream()
                                                .map(Extent::toString)
                                                .collect(Collectors.joining(", ", "[", "]")))
                                .orElse("of any shape"));
    }
}
