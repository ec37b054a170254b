package io.espalier.onnx.run;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.NodeProto;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** A division and the nodes before it that make its divisor 1 where the least integer meets -1. */
final class DivisorNodes {
    /** From this version of the standard on, all numbers can be compared. */
    static final long LEAST_OPSET = 11;

    private final OnnxNode division;
    private final String like;
    private final List<NodeProto> nodes = new ArrayList<>();

    private DivisorNodes(OnnxNode division, String like) {
        this.division = division;
        this.like = like;
    }

    /**
     * Of integers of this type.
     *
     * @param like how the names of new values begin
     */
    static List<NodeProto> of(OnnxNode division, ElementType type, String like) {
        var divisor = new DivisorNodes(division, like);
        long least = type == ElementType.INT32 ? Integer.MIN_VALUE : Long.MIN_VALUE;
        String isLeast = divisor.node("Equal", division.input(0), divisor.constant(type, least));
        String isMinus = divisor.node("Equal", division.input(1), divisor.constant(type, -1));
        String both = divisor.node("And", isLeast, isMinus);
        String one = divisor.add(OnnxNode.of("Cast", List.of(both), "").with("to", type.code()));
        return divisor.dividing(
                divisor.node("Add", division.input(1), divisor.node("Add", one, one)));
    }

    /**
     * Of whatever it divides: only the least integer and 0 are their own negatives, and the square
     * of a divisor is its negative if it is -1 or 0. For real numbers, nothing but 0 is its own
     * negative, and nothing changes.
     */
    static List<NodeProto> ofAnyType(OnnxNode division, String like) {
        var divisor = new DivisorNodes(division, like);
        String a = division.input(0);
        String b = division.input(1);
        String isOwnNegative = divisor.node("Equal", a, divisor.node("Neg", a));
        String isSomething =
                divisor.add(
                        OnnxNode.of("Cast", List.of(a), "").with("to", ElementType.BOOL.code()));
        String negative = divisor.node("Neg", b);
        String isMinus = divisor.node("Equal", divisor.node("Mul", b, b), negative);
        String both = divisor.node("And", divisor.node("And", isOwnNegative, isSomething), isMinus);
        return divisor.dividing(divisor.node("Where", both, negative, b));
    }

    private String node(String op, String... inputs) {
        return add(OnnxNode.of(op, List.of(inputs), ""));
    }

    private String constant(ElementType type, long number) {
        var bytes = MemorySegment.ofArray(new byte[type.bits() / Byte.SIZE]);
        if (type == ElementType.INT32) {
            bytes.set(ValueLayout.JAVA_INT_UNALIGNED, 0, (int) number);
        } else {
            bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, 0, number);
        }
        return add(
                OnnxNode.of("Constant", List.of(), "")
                        .with("value", ConstantTensor.of(type, List.of(), bytes)));
    }

    private String add(OnnxNode node) {
        String output = like + "/" + nodes.size();
        nodes.add(node.withOutputs(List.of(output)).withName(output + "/" + node.op()).toProto());
        return output;
    }

    private List<NodeProto> dividing(String divisor) {
        nodes.add(division.withInput(1, divisor).toProto());
        return nodes;
    }
}
