package io.espalier.onnx.model;

import com.google.protobuf.ByteString;

import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.AttributeProto.AttributeType;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * A call of an operator: names of values that it reads and gives, and attributes.
 *
 * <p>It never changes; its methods that begin with {@code with} give another. A node of a file is
 * written as it was read, with all that the standard may add one day. Two nodes are equal only if
 * they are the same one.
 */
public final class OnnxNode {
    /** The domain of the runtime's own operators. */
    public static final String MICROSOFT = "com.microsoft";

    /** The domain of operators that stand in graphs for a while, and in no file. */
    public static final String ESPALIER = "io.espalier";

    private final NodeProto proto;

    OnnxNode(NodeProto proto) {
        this.proto = proto;
    }

    /** The node of this message. */
    public static OnnxNode of(NodeProto proto) {
        return new OnnxNode(proto);
    }

    /** A call of an operator of the standard with one result. */
    public static OnnxNode of(String op, List<String> inputs, String output) {
        return of("", op, inputs, List.of(output));
    }

    /** A call of an operator of this domain, which is empty for the standard's. */
    public static OnnxNode of(String domain, String op, List<String> inputs, List<String> outputs) {
        var proto =
                NodeProto.newBuilder()
                        .setOpType(op)
                        .setName(outputs.getFirst() + "/" + op)
                        .addAllInput(inputs)
                        .addAllOutput(outputs);
        if (!domain.isEmpty()) {
            proto.setDomain(domain);
        }
        return new OnnxNode(proto.build());
    }

    /** The operator's name. */
    public String op() {
        return proto.getOpType();
    }

    /** The operator's domain; empty for the standard's own. */
    public String domain() {
        return proto.getDomain().equals("ai.onnx") ? "" : proto.getDomain();
    }

    /** Whether it calls this operator of the standard. */
    public boolean is(String op) {
        return op().equals(op) && domain().isEmpty();
    }

    /** Whether it is an operator of this domain, or one within a graph inside it is. */
    boolean calls(String domain) {
        return domain().equals(domain)
                || subgraphs().stream()
                        .flatMap(graph -> graph.getNodeList().stream())
                        .anyMatch(node -> new OnnxNode(node).calls(domain));
    }

    /** Its name, or its operator and first result where the file gives none. */
    public String name() {
        return proto.getName().isEmpty()
                ? op() + (proto.getOutputCount() == 0 ? "" : " of " + proto.getOutput(0))
                : proto.getName();
    }

    /** The values it reads; an empty name stands for an optional one that is left out. */
    public List<String> inputs() {
        return proto.getInputList();
    }

    /** All values that it reads, those of the graphs inside it too, each once. */
    public Set<String> reads() {
        var reads = new LinkedHashSet<>(inputs());
        reads.remove("");
        reads.addAll(Captures.of(this));
        return reads;
    }

    /** The values it gives; an empty name stands for one that nobody wants. */
    public List<String> outputs() {
        return proto.getOutputList();
    }

    /** The input at this place, empty if it is left out. */
    public String input(int place) {
        return place < proto.getInputCount() ? proto.getInput(place) : "";
    }

    /** The result at this place, empty if it is left out. */
    public String output(int place) {
        return place < proto.getOutputCount() ? proto.getOutput(place) : "";
    }

    /** Its only or first result. */
    public String output() {
        return output(0);
    }

    /** Whether this attribute is set. */
    public boolean has(String attribute) {
        return attribute(attribute) != null;
    }

    /** The message of an attribute, or null if it isn't set. */
    public @Nullable AttributeProto attribute(String name) {
        for (AttributeProto attribute : proto.getAttributeList()) {
            if (attribute.getName().equals(name)) {
                return attribute;
            }
        }
        return null;
    }

    private @Nullable AttributeProto attribute(String name, AttributeType type) {
        AttributeProto attribute = attribute(name);
        if (attribute != null
                && attribute.getType() != type
                && attribute.getType() != AttributeType.UNDEFINED) {
            throw new EspalierException(
                    "The attribute '%s' of %s should be %s, and is %s."
                            .formatted(name, name(), type, attribute.getType()));
        }
        return attribute;
    }

    /** An attribute that is an integer. */
    public long integer(String name, long ifAbsent) {
        AttributeProto attribute = attribute(name, AttributeType.INT);
        return attribute == null ? ifAbsent : attribute.getI();
    }

    /** An attribute that is a number. */
    public float number(String name, float ifAbsent) {
        AttributeProto attribute = attribute(name, AttributeType.FLOAT);
        return attribute == null ? ifAbsent : attribute.getF();
    }

    /** An attribute that is text. */
    public String text(String name, String ifAbsent) {
        AttributeProto attribute = attribute(name, AttributeType.STRING);
        return attribute == null ? ifAbsent : attribute.getS().toStringUtf8();
    }

    /** An attribute that is a list of integers; empty if it isn't set. */
    public List<Long> integers(String name) {
        AttributeProto attribute = attribute(name, AttributeType.INTS);
        return attribute == null ? List.of() : attribute.getIntsList();
    }

    /** An attribute that is a list of numbers; empty if it isn't set. */
    public List<Float> numbers(String name) {
        AttributeProto attribute = attribute(name, AttributeType.FLOATS);
        return attribute == null ? List.of() : attribute.getFloatsList();
    }

    /** An attribute that is a tensor, or null if it isn't set. */
    public @Nullable ConstantTensor tensor(String name) {
        AttributeProto attribute = attribute(name, AttributeType.TENSOR);
        return attribute == null ? null : ConstantTensor.of(attribute.getT());
    }

    /** The graphs among its attributes: branches of an If, the body of a Loop or a Scan. */
    public List<GraphProto> subgraphs() {
        var graphs = new ArrayList<GraphProto>();
        for (AttributeProto attribute : proto.getAttributeList()) {
            if (attribute.hasG()) {
                graphs.add(attribute.getG());
            }
            graphs.addAll(attribute.getGraphsList());
        }
        return graphs;
    }

    /** The same node with other inputs. */
    public OnnxNode withInputs(List<String> inputs) {
        return new OnnxNode(proto.toBuilder().clearInput().addAllInput(inputs).build());
    }

    /** The same node with another input at a place that it has. */
    public OnnxNode withInput(int place, String input) {
        return new OnnxNode(proto.toBuilder().setInput(place, input).build());
    }

    /** The same node with other names for its results. */
    public OnnxNode withOutputs(List<String> outputs) {
        return new OnnxNode(proto.toBuilder().clearOutput().addAllOutput(outputs).build());
    }

    /** Of another operator of the same domain. */
    public OnnxNode withOp(String op) {
        return new OnnxNode(proto.toBuilder().setOpType(op).build());
    }

    /** The same node under another name. */
    public OnnxNode withName(String name) {
        return new OnnxNode(proto.toBuilder().setName(name).build());
    }

    /** The same node with this integer as an attribute. */
    public OnnxNode with(String name, long value) {
        return with(builder(name, AttributeType.INT).setI(value));
    }

    /** The same node with this number as an attribute. */
    public OnnxNode with(String name, float value) {
        return with(builder(name, AttributeType.FLOAT).setF(value));
    }

    /** The same node with this text as an attribute. */
    public OnnxNode with(String name, String value) {
        return with(builder(name, AttributeType.STRING).setS(ByteString.copyFromUtf8(value)));
    }

    /** The same node with these integers as an attribute. */
    public OnnxNode with(String name, List<Long> values) {
        return with(builder(name, AttributeType.INTS).addAllInts(values));
    }

    /** The same node with this tensor as an attribute. */
    public OnnxNode with(String name, ConstantTensor value) {
        return with(builder(name, AttributeType.TENSOR).setT(value.toProto("")));
    }

    /** The same node with this graph as an attribute. */
    public OnnxNode with(String name, GraphProto value) {
        return with(builder(name, AttributeType.GRAPH).setG(value));
    }

    private static AttributeProto.Builder builder(String name, AttributeType type) {
        return AttributeProto.newBuilder().setName(name).setType(type);
    }

    private OnnxNode with(AttributeProto.Builder attribute) {
        return new OnnxNode(
                without(attribute.getName()).proto.toBuilder().addAttribute(attribute).build());
    }

    /** The same node without this attribute. */
    public OnnxNode without(String name) {
        List<AttributeProto> rest =
                proto.getAttributeList().stream().filter(a -> !a.getName().equals(name)).toList();
        return new OnnxNode(proto.toBuilder().clearAttribute().addAllAttribute(rest).build());
    }

    /** All attributes' messages, in the file's order. */
    public List<AttributeProto> attributes() {
        return proto.getAttributeList();
    }

    /** The message that says all of it. */
    public NodeProto toProto() {
        return proto;
    }

    @Override
    public String toString() {
        return "%s = %s(%s)"
                .formatted(String.join(", ", outputs()), op(), String.join(", ", inputs()));
    }
}
