package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/** A node while a {@link Rule} looks at it: what is known of its operands, and what it gives. */
final class Call {
    /** The largest of unknown small tensors whose elements get names. */
    private static final int MOST_UNKNOWN = 16;

    private static final int MOST_RANK = 64;

    final OnnxNode node;
    final Scope scope;

    private final List<@Nullable ElementType> types = new ArrayList<>();
    private final List<@Nullable List<Extent>> shapes = new ArrayList<>();
    private final List<@Nullable Contents> contents = new ArrayList<>();

    Call(OnnxNode node, Scope scope) {
        this.node = node;
        this.scope = scope;
        for (int i = 0; i < node.outputs().size(); i++) {
            types.add(null);
            shapes.add(null);
            contents.add(null);
        }
    }

    /** The version of the operator's domain. */
    long opset() {
        return scope.world.opsets.getOrDefault(node.domain(), 1L);
    }

    /** Whether an operand is given. */
    boolean has(int place) {
        return !node.input(place).isEmpty();
    }

    int operands() {
        return node.inputs().size();
    }

    int results() {
        return node.outputs().size();
    }

    ValueType operand(int place) {
        return scope.type(node.input(place));
    }

    @Nullable ElementType type(int place) {
        return operand(place).elements();
    }

    /** An operand's extents. */
    List<Extent> shape(int place) {
        List<Extent> shape = operand(place).shape();
        if (shape == null) {
            throw new Undecided();
        }
        return shape;
    }

    int rank(int place) {
        return shape(place).size();
    }

    Extent extent(int place, long dim) {
        return shape(place).get(axis(dim, rank(place)));
    }

    /** A dimension counted from the end if it is negative. */
    static int axis(long axis, int rank) {
        long from = axis < 0 ? axis + rank : axis;
        if (from < 0 || from >= rank) {
            throw new Undecided();
        }
        return (int) from;
    }

    /** The dimension of an attribute. */
    int axis(String attribute, long ifAbsent, int rank) {
        return axis(node.integer(attribute, ifAbsent), rank);
    }

    /** A small operand's elements; those of integers that a run decides have names. */
    Contents contents(int place) {
        String name = node.input(place);
        Contents known = scope.contents(name);
        if (known != null) {
            return known;
        }
        if (!Contents.isOf(type(place)) || rank(place) > 1) {
            throw new Undecided();
        }
        long count = rank(place) == 0 ? 1 : known(shape(place).getFirst());
        if (count > MOST_UNKNOWN) {
            throw new Undecided();
        }
        var elements = new ArrayList<Fraction>();
        for (int i = 0; i < count; i++) {
            elements.add(Fraction.of(scope.world.unknown(Long.MIN_VALUE)));
        }
        var open = new Contents(rank(place) == 0 ? List.of() : List.of(count), elements);
        scope.put(name, open);
        return open;
    }

    /** A small operand's whole numbers. */
    List<Extent> wholes(int place) {
        return contents(place).whole();
    }

    /** A small operand's whole numbers, which are the same in each run. */
    List<Long> longs(int place) {
        return wholes(place).stream().map(Call::known).toList();
    }

    static long known(Extent extent) {
        if (!extent.isKnown()) {
            throw new Undecided();
        }
        return extent.value();
    }

    /** Integers of an attribute, or, in later opsets, of an operand; null if neither is given. */
    @Nullable List<Long> longs(String attribute, int place) {
        if (node.has(attribute)) {
            return node.integers(attribute);
        }
        return has(place) ? longs(place) : null;
    }

    /** A length of which nothing is known. */
    Extent unknown() {
        return scope.world.unknown(0);
    }

    List<Extent> unknowns(long count) {
        if (count < 0 || count > MOST_RANK) {
            throw new Undecided();
        }
        var extents = new ArrayList<Extent>();
        for (int i = 0; i < count; i++) {
            extents.add(unknown());
        }
        return extents;
    }

    void give(int place, @Nullable ElementType type) {
        if (place < types.size()) {
            types.set(place, type);
        }
    }

    void give(int place, List<Extent> shape) {
        if (shape.size() > MOST_RANK
                || shape.stream().anyMatch(extent -> extent.isKnown() && extent.value() < 0)) {
            throw new Undecided();
        }
        if (place < shapes.size()) {
            shapes.set(place, List.copyOf(shape));
        }
    }

    void give(int place, @Nullable ElementType type, List<Extent> shape) {
        give(place, type);
        give(place, shape);
    }

    /** A result that is all that is known of another value. */
    void give(int place, ValueType type) {
        give(place, type.elements());
        if (type.shape() != null) {
            give(place, type.shape());
        }
    }

    void give(int place, Contents known) {
        if (place < contents.size()) {
            contents.set(place, known);
        }
    }

    ValueType result(int place) {
        Contents known = contents.get(place);
        List<Extent> shape = shapes.get(place);
        if (known != null && shape == null) {
            shape = known.shape().stream().map(Extent::of).toList();
        }
        return new ValueType(types.get(place), shape);
    }

    @Nullable Contents resultContents(int place) {
        return contents.get(place);
    }
}
