package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.slim.End.Side;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelCall;
import io.espalier.slim.ChannelFlow;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.NotUnderstood;

import org.jspecify.annotations.Nullable;

import java.util.List;

/** A node as its rule sees it: the channels of its operands, and a place for its results'. */
final class Call extends ChannelCall {
    final OnnxNode node;
    private final Analysis analysis;

    Call(OnnxNode node, ChannelFlow flow, Analysis analysis) {
        super(flow);
        this.node = node;
        this.analysis = analysis;
    }

    @Override
    protected String name() {
        return "'%s'".formatted(node.name());
    }

    @Override
    public int operands() {
        return node.inputs().size();
    }

    @Override
    public boolean has(int place) {
        return !node.input(place).isEmpty();
    }

    @Override
    protected @Nullable ChannelValue known(int place) {
        return analysis.value(node.input(place));
    }

    @Override
    public int results() {
        return node.outputs().size();
    }

    /** An attribute that is a dimension of an operand, counted from the first. */
    int dimension(String attribute, long ifAbsent, int rank) {
        return dimension(node.integer(attribute, ifAbsent), rank);
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

    @Override
    public long[] resultExtents(int place) {
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

    @Override
    public void give(int place, List<Axis> axes) {
        if (gives(place)) {
            analysis.give(node.output(place), axes, this);
        }
    }

    /** Says where channels end in a sum. */
    void ends(End end) {
        analysis.ends(end);
    }

    @Override
    public void ends(int place, int dimension, int other, int otherDimension, long groups) {
        ends(
                other < 0
                        ? End.of(node, place, dimension)
                        : new End(
                                node,
                                new Side(place, dimension),
                                new Side(other, otherDimension),
                                groups));
    }

    /** What changes of this node when channels go. */
    void rewrite(Rewrite rewrite) {
        analysis.rewrite(node, rewrite);
    }

    /** How elements of a list of extents are rewritten. */
    ExtentList extentList(int place) {
        return new ExtentList(analysis, node.input(place));
    }
}
