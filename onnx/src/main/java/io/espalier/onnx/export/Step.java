package io.espalier.onnx.export;

import io.espalier.graph.Node.OperatorCall;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;

/**
 * A call of an operator that is being written.
 *
 * @param names the values of its operands, in the operator's order; empty for one that is not given
 * @param operands what these were in the example's run; null for one that is not given
 * @param results what it gave there
 * @param isFixed whether an operand's extent along a dimension is the same in each run
 */
record Step(
        Draft draft,
        Sizes sizes,
        OperatorCall call,
        List<String> names,
        List<@Nullable Seen> operands,
        List<Seen> results,
        Extents isFixed) {
    /** Which extents never change. */
    @FunctionalInterface
    interface Extents {
        boolean isFixed(int operand, int dim);
    }

    /** The first operand. */
    String x() {
        return names.getFirst();
    }

    /** What the first operand was. */
    Seen seen() {
        return seen(0);
    }

    /** What an operand was. */
    Seen seen(int place) {
        return Objects.requireNonNull(operands.get(place));
    }

    /** An operand, empty if it is not given. */
    String name(int place) {
        return place < names.size() ? names.get(place) : "";
    }

    /** Whether an operand is given. */
    boolean has(int place) {
        return !name(place).isEmpty();
    }

    /** What the first result was. */
    Seen result() {
        return results.getFirst();
    }

    /** A dimension of the first operand by an attribute, from the first. */
    int axis(String attribute) {
        return seen().axis(call.integer(attribute));
    }

    /** A node without attributes. */
    String node(String op, String... inputs) {
        return draft.node(op, inputs);
    }

    /** A node with attributes. */
    String node(String op, UnaryOperator<OnnxNode> attributes, String... inputs) {
        return draft.node(op, attributes, inputs);
    }

    /** An operand as numbers of a type. */
    String as(ElementType type, int place) {
        return Casts.to(draft, type, seen(place).type(), name(place));
    }

    /** An operand as numbers of the result's type, as libtorch promotes them. */
    String promoted(int place) {
        return as(result().type(), place);
    }

    /** A number of the result's type. */
    String number(double value) {
        return draft.number(result().type(), value);
    }

    /**
     * The extent of an operand along a dimension, which must be the same in each run.
     *
     * @throws EspalierException if it is free
     */
    long fixedExtent(int place, int dim) {
        if (!isFixed.isFixed(place, dim)) {
            throw new EspalierException(
                    "it needs dimension "
                            + dim
                            + " of "
                            + call.inputs().get(place)
                            + " to be of one size, and that is free; leave it out of the free"
                            + " dimensions.");
        }
        return seen(place).shape().get(dim);
    }

    /** Dimensions by an attribute, from the first. */
    List<Long> axes(String attribute) {
        List<Long> axes = new ArrayList<>();
        call.integers(attribute).forEach(dim -> axes.add((long) seen().axis(dim)));
        return axes;
    }
}
