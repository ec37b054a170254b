package io.espalier.onnx.export;

import io.espalier.graph.Size;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Writes sizes that depend on those of the inputs: as numbers of shape [1] and lists of them. */
final class Sizes {
    private final Draft draft;
    private final Map<String, Place> free;

    /** A dimension of a value. */
    record Place(String value, int dim) {}

    /**
     * For a graph.
     *
     * @param free where the size of each free dimension is found
     */
    Sizes(Draft draft, Map<String, Place> free) {
        this.draft = draft;
        this.free = free;
    }

    /** The extent of a value along a dimension, [1]. */
    String extent(String value, int dim) {
        return draft.node("Shape", node -> node.with("start", dim).with("end", dim + 1L), value);
    }

    /** A size as [1]. */
    String of(Object size, String operand) {
        return switch (size) {
            case Long number -> draft.longs(number);
            case Size.Fixed(long number) -> draft.longs(number);
            case Size.Free(String name) -> {
                Place place = free.get(name);
                if (place == null) {
                    throw new EspalierException("The size '" + name + "' is that of no input.");
                }
                yield extent(place.value(), place.dim());
            }
            case Size.OfOperand(int dim) -> extent(operand, dim);
            case Size.Plus(Size a, long number) ->
                    draft.node("Add", of(a, operand), draft.longs(number));
            case Size.Times(Size a, Size b) -> draft.node("Mul", of(a, operand), of(b, operand));
            case Size.Over(Size a, long number) ->
                    draft.node("Div", of(a, operand), draft.longs(number));
            default -> throw new EspalierException("A size can't be written: " + size + ".");
        };
    }

    /** Sizes as one list. */
    String list(List<?> sizes, String operand) {
        if (sizes.stream().allMatch(Long.class::isInstance)) {
            return draft.longs(sizes.stream().mapToLong(size -> (Long) size).toArray());
        }
        List<String> parts = new ArrayList<>();
        sizes.forEach(size -> parts.add(of(size, operand)));
        return draft.node("Concat", node -> node.with("axis", 0), parts.toArray(String[]::new));
    }
}
