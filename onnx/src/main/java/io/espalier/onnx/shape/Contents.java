package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * The elements of a small tensor that shapes are computed with, row by row; truths are 0 and 1.
 *
 * @param shape its extents
 */
record Contents(List<Long> shape, List<Fraction> elements) {
    /** Larger tensors are no shapes. */
    static final int MOST_ELEMENTS = 1024;

    private static final int MOST_REALS = 64;

    Contents {
        shape = List.copyOf(shape);
        elements = List.copyOf(elements);
        if (elements.size() > MOST_ELEMENTS || elements.size() != elements(shape)) {
            throw new Undecided();
        }
    }

    static Contents scalar(Fraction element) {
        return new Contents(List.of(), List.of(element));
    }

    static Contents of(List<Extent> elements) {
        return new Contents(
                List.of((long) elements.size()), elements.stream().map(Fraction::of).toList());
    }

    static Contents filled(List<Long> shape, Fraction element) {
        return new Contents(shape, Collections.nCopies(elements(shape), element));
    }

    /** How many elements such a shape has. */
    static int elements(List<Long> shape) {
        long product = 1;
        for (long extent : shape) {
            if (extent < 0 || extent > MOST_ELEMENTS) {
                throw new Undecided();
            }
            product = Math.min(product * extent, MOST_ELEMENTS + 1L);
        }
        if (product > MOST_ELEMENTS) {
            throw new Undecided();
        }
        return (int) product;
    }

    /** The elements of a constant; null if it is large, or not of such a kind. */
    static @Nullable Contents of(ConstantTensor constant) {
        if (constant.elements() > MOST_ELEMENTS) {
            return null;
        }
        try {
            return switch (constant.type()) {
                case INT64, INT32, INT16, INT8, UINT8, UINT16, UINT32, BOOL -> {
                    var elements = new ArrayList<Fraction>();
                    for (long element : constant.toLongs()) {
                        elements.add(Fraction.of(element));
                    }
                    yield new Contents(constant.shape(), elements);
                }
                case FLOAT -> constant.elements() > MOST_REALS ? null : reals(constant);
                default -> null;
            };
        } catch (Undecided _) {
            return null;
        }
    }

    private static Contents reals(ConstantTensor constant) {
        var elements = new ArrayList<Fraction>();
        for (float element : constant.toFloats()) {
            elements.add(Fraction.of((double) element));
        }
        return new Contents(constant.shape(), elements);
    }

    /** Whether shapes are computed with numbers of this type. */
    static boolean isOf(@Nullable ElementType type) {
        return type == ElementType.INT64 || type == ElementType.INT32;
    }

    /** Whether elements of this type hold them; a run wraps around what is larger. */
    boolean fit(@Nullable ElementType type) {
        return type != ElementType.INT32
                || elements.stream()
                        .noneMatch(element ->
                                element.isKnown()
                                        && Math.abs((double) element.numerator().value())
                                                > Integer.MAX_VALUE);
    }

    Contents map(UnaryOperator<Fraction> each) {
        return new Contents(shape, elements.stream().map(each).toList());
    }

    /** The slices at some places of an axis. */
    Contents taken(int axis, List<Integer> places) {
        int inner = elements(shape.subList(axis + 1, shape.size()));
        int outer = elements(shape.subList(0, axis));
        int length = Math.toIntExact(shape.get(axis));
        var taken = new ArrayList<Fraction>();
        for (int block = 0; block < outer; block++) {
            for (int place : places) {
                int from = (block * length + place) * inner;
                taken.addAll(elements.subList(from, from + inner));
            }
        }
        var result = new ArrayList<>(shape);
        result.set(axis, (long) places.size());
        return new Contents(result, taken);
    }

    /** With the axes in another order: each one's place before. */
    Contents transposed(List<Integer> axes) {
        var result = axes.stream().map(shape::get).toList();
        var moved = new ArrayList<Fraction>();
        for (int at = 0; at < elements.size(); at++) {
            int rest = at;
            int from = 0;
            for (int i = axes.size() - 1; i >= 0; i--) {
                int extent = Math.toIntExact(result.get(i));
                int stride = elements(shape.subList(axes.get(i) + 1, shape.size()));
                from += rest % extent * stride;
                rest /= extent;
            }
            moved.add(elements.get(from));
        }
        return new Contents(result, moved);
    }

    List<Extent> whole() {
        return elements.stream().map(Fraction::whole).toList();
    }

    /** The only element. */
    Fraction single() {
        if (elements.size() != 1) {
            throw new Undecided();
        }
        return elements.getFirst();
    }
}
