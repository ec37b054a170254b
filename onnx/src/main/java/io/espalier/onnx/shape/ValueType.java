package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.proto.TypeProto;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * What is known of a value.
 *
 * @param elements its elements' type; null if nothing is known of it
 * @param shape its extents, outermost first, none for a scalar; null if not even their number is
 *     known
 */
public record ValueType(@Nullable ElementType elements, @Nullable List<Extent> shape) {
    /** Of such a value nothing is known; it may not even be a tensor. */
    public static final ValueType UNKNOWN = new ValueType(null, null);

    /** Copies the list. */
    public ValueType {
        shape = shape == null ? null : List.copyOf(shape);
    }

    static @Nullable ElementType elements(TypeProto type) {
        int code = type.getTensorType().getElemType();
        return type.hasTensorType() && code >= 1 && code <= ElementType.values().length
                ? ElementType.of(code)
                : null;
    }

    /** Whether type and each extent are the same in each run. */
    public boolean isKnown() {
        return elements != null && shape != null && shape.stream().allMatch(Extent::isKnown);
    }

    /** As it is printed: {@code Float[N, 3, 8, 8]}; what is not known is a question mark. */
    @Override
    public String toString() {
        return (elements == null ? "?" : name(elements))
                + (shape == null
                        ? "[...]"
                        : shape.stream()
                                .map(Extent::toString)
                                .collect(Collectors.joining(", ", "[", "]")));
    }

    /** An element type as it is printed: {@code Float}, {@code UInt8}. */
    public static String name(ElementType type) {
        String name = type.name();
        int capitals = name.startsWith("UINT") || name.startsWith("BFLOAT") ? 2 : 1;
        return name.substring(0, capitals) + name.substring(capitals).toLowerCase(Locale.ROOT);
    }
}
