package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelFlow;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A node as its rule sees it: the channels of its operands, and a place for its results'. */
final class Call {
    final OnnxNode node;
    final ChannelFlow flow;
    private final Analysis analysis;
    private final Map<Integer, BitSet> seen = new HashMap<>();

    Call(OnnxNode node, ChannelFlow flow, Analysis analysis) {
        this.node = node;
        this.flow = flow;
        this.analysis = analysis;
    }

    int operands() {
        return node.inputs().size();
    }

    /** Whether an operand is not left out. */
    boolean has(int place) {
        return !node.input(place).isEmpty();
    }

    /** What is known of an operand. */
    ChannelValue operand(int place) {
        ChannelValue value = analysis.value(node.input(place));
        if (value == null) {
            throw new NotUnderstood("the rank of what it reads isn't known");
        }
        return value;
    }

    int rank(int place) {
        return operand(place).rank();
    }

    /** The channels along a dimension of an operand, which the rule answers for from now on. */
    Axis axis(int place, int dimension) {
        seen.computeIfAbsent(place, k -> new BitSet()).set(dimension);
        return operand(place).axes().get(dimension);
    }

    long extent(int place, int dimension) {
        return operand(place).extents()[dimension];
    }

    /** A copy of an operand's dimensions, for all of which the rule answers. */
    List<Axis> axes(int place) {
        seen.computeIfAbsent(place, k -> new BitSet()).set(0, rank(place));
        return new ArrayList<>(operand(place).axes());
    }

    /** Pins the dimensions of operands that the rule has not looked at. */
    void pinRest() {
        for (int place = 0; place < operands(); place++) {
            ChannelValue value = has(place) ? analysis.value(node.input(place)) : null;
            BitSet answered = seen.getOrDefault(place, new BitSet());
            for (int d = 0; value != null && d < value.rank(); d++) {
                if (!answered.get(d)) {
                    pin(value.axes().get(d));
                }
            }
        }
    }

    /** An attribute that is a dimension of an operand, counted from the first. */
    int dimension(String attribute, long ifAbsent, int rank) {
        return dimension(node.integer(attribute, ifAbsent), rank);
    }

    int dimension(long given, int rank) {
        long dimension = given < 0 ? given + rank : given;
        if (dimension < 0 || dimension >= rank) {
            throw new NotUnderstood("there is no dimension " + given);
        }
        return (int) dimension;
    }

    /** Integers from an attribute, or from an operand in newer versions; null if not constant. */
    long @Nullable [] longs(String attribute, int place) {
        if (node.has(attribute)) {
            return node.integers(attribute).stream().mapToLong(Long::longValue).toArray();
        }
        ConstantTensor constant = constant(place);
        return constant == null || constant.type().isFloating() ? null : constant.toLongs();
    }

    @Nullable ConstantTensor constant(int place) {
        return analysis.graph().constant(node.input(place));
    }

    OnnxGraph graph() {
        return analysis.graph();
    }

    String text(String attribute) {
        return node.text(attribute, "");
    }

    /** Extents of a result. */
    long[] resultExtents(int place) {
        long[] extents = analysis.extents(node.output(place));
        if (extents == null) {
            throw new NotUnderstood("the extents of what it gives aren't known");
        }
        return extents;
    }

    /** The version of the standard's operators. */
    long opset() {
        return analysis.opset();
    }

    /** Whether an operator's further result is wanted. */
    boolean gives(int place) {
        return !node.output(place).isEmpty();
    }

    /** The dimensions of a result. */
    void give(int place, List<Axis> axes) {
        if (gives(place)) {
            analysis.give(node.output(place), axes, this);
        }
    }

    void unite(Axis first, Axis second) {
        flow.unite(first, second, "'%s' needs all".formatted(node.name()));
    }

    void pin(Axis axis) {
        flow.pin(axis, "'%s' needs all".formatted(node.name()));
    }

    /** Pins dimensions of an operand from one on. */
    void pinFrom(int place, int dimension) {
        for (int i = dimension; i < rank(place); i++) {
            pin(axis(place, i));
        }
    }

    /** Leaves out what a weight's other dimensions are, such as a window's: none are channels. */
    void leaveFrom(int place, int dimension) {
        for (int i = dimension; i < rank(place); i++) {
            flow.pin(axis(place, i), "");
        }
    }

    /** Pins all of an operand, if it is there and anything is known of it. */
    void pinAll(int place) {
        if (has(place) && analysis.value(node.input(place)) != null) {
            pinFrom(place, 0);
        }
    }

    void markInexact(Axis axis) {
        flow.markInexact(axis, "'%s'".formatted(node.name()));
    }

    /** Says where channels end in a sum. */
    void ends(End end) {
        analysis.ends(end);
    }

    /** What changes of this node when channels go. */
    void rewrite(Rewrite rewrite) {
        analysis.rewrite(node, rewrite);
    }

    static List<Axis> plain(int rank) {
        return Collections.nCopies(rank, Axis.PLAIN);
    }

    /** How elements of a list of extents are rewritten. */
    ExtentList extentList(int place) {
        return new ExtentList(analysis, node.input(place));
    }
}
