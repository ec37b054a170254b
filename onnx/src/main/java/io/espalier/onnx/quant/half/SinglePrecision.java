package io.espalier.onnx.quant.half;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.shape.Shapes;

import org.jspecify.annotations.Nullable;

import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A model that computes in floats of 16 or of 64 bits, in those of 32: its constants and all that
 * is made of them. What it is given and gives keeps its type, by a Cast each.
 */
final class SinglePrecision {
    /** Domains whose operators take floats wherever they take halves or doubles. */
    private static final Set<String> KNOWN = Set.of("", OnnxNode.MICROSOFT, "ai.onnx.ml");

    /** Attributes that name the type of a result. */
    private static final Set<String> TYPES = Set.of("to", "dtype");

    private final OnnxGraph graph;
    private final Shapes shapes;
    private final Set<ElementType> others;

    private SinglePrecision(OnnxGraph graph, Shapes shapes, Set<ElementType> others) {
        this.graph = graph;
        this.shapes = shapes;
        this.others = others;
    }

    /**
     * The model in floats: where it has halves, and where all its weights are doubles. Itself if
     * there is nothing to change, or it calls operators that nobody here knows.
     */
    static OnnxModel of(OnnxModel model) {
        Set<ElementType> others = others(model.graph());
        if (others.isEmpty() || !isKnown(model.graph())) {
            return model;
        }
        Shapes shapes = Shapes.of(model);
        return model.rewritten(graph -> new SinglePrecision(graph, shapes, others).rewrite());
    }

    private static Set<ElementType> others(OnnxGraph graph) {
        Set<ElementType> others = EnumSet.noneOf(ElementType.class);
        boolean takesHalves =
                graph.inputs().stream().anyMatch(i -> type(i.getType()) == ElementType.FLOAT16);
        if (takesHalves || constants(graph).anyMatch(c -> c.type() == ElementType.FLOAT16)) {
            others.add(ElementType.FLOAT16);
        }
        List<ElementType> weights =
                constants(graph)
                        .filter(c -> c.type().isFloating() && c.elements() > 1)
                        .map(ConstantTensor::type)
                        .distinct()
                        .toList();
        if (weights.equals(List.of(ElementType.DOUBLE))) {
            others.add(ElementType.DOUBLE);
        }
        return others;
    }

    private static Stream<ConstantTensor> constants(OnnxGraph graph) {
        return Stream.concat(
                graph.constants().values().stream(),
                graph.nodes().stream()
                        .filter(node -> node.is("Constant") && node.has("value"))
                        .map(node -> node.tensor("value"))
                        .filter(Objects::nonNull));
    }

    private static boolean isKnown(OnnxGraph graph) {
        return Stream.concat(graph.inputs().stream(), graph.outputs().stream())
                        .allMatch(v -> !v.hasType() || v.getType().hasTensorType())
                && graph.nodes().stream().allMatch(SinglePrecision::isKnown);
    }

    private static boolean isKnown(OnnxNode node) {
        return KNOWN.contains(node.domain())
                && node.attributes().stream().noneMatch(a -> a.hasTp() || a.hasSparseTensor())
                && node.subgraphs().stream()
                        .flatMap(inner -> inner.getNodeList().stream())
                        .allMatch(inner -> isKnown(OnnxNode.of(inner)));
    }

    private static @Nullable ElementType type(TypeProto type) {
        int code = type.hasTensorType() ? type.getTensorType().getElemType() : 0;
        return code == 0 ? null : ElementType.of(code);
    }

    private void rewrite() {
        List<OnnxNode> nodes = graph.nodes();
        nodes.forEach(node -> graph.replace(node, OnnxNode.of(inFloats(node.toProto()))));
        for (String name : List.copyOf(graph.constants().keySet())) {
            ConstantTensor constant = graph.constant(name);
            if (constant != null && others.contains(constant.type())) {
                if (graph.isOutput(name)) {
                    graph.rename(name, graph.addConstant(name + "_f", inFloats(constant)));
                } else {
                    graph.setConstant(name, inFloats(constant));
                }
            }
        }
        Stream.concat(
                        graph.inputs().stream().map(ValueInfoProto::getName),
                        graph.constants().keySet().stream().filter(graph::isInput))
                .toList()
                .forEach(this::given);
        graph.outputs().stream().map(ValueInfoProto::getName).toList().forEach(this::result);
        graph.setValueInfo(
                nodes.stream()
                        .flatMap(node -> node.outputs().stream())
                        .map(graph::valueInfo)
                        .filter(Objects::nonNull)
                        .filter(info -> !others.contains(type(info.getType())))
                        .toList());
    }

    /** Lets all that reads an input read floats of it. */
    private void given(String input) {
        ElementType type = shapes.elements(input);
        if (type != null && others.contains(type) && !graph.readers(input).isEmpty()) {
            String floats = graph.freshName(input + "_f");
            graph.rename(input, floats);
            graph.add(cast(input, floats, ElementType.FLOAT));
        }
    }

    /** Makes a result of the floats that are now in its place. */
    private void result(String output) {
        ElementType type = shapes.elements(output);
        if (type != null && others.contains(type) && graph.producer(output) != null) {
            String floats = graph.freshName(output + "_f");
            graph.rename(output, floats);
            graph.add(cast(floats, output, type));
        }
    }

    private static OnnxNode cast(String from, String to, ElementType type) {
        return OnnxNode.of("Cast", List.of(from), to).with("to", type.code()).withName("");
    }

    private NodeProto inFloats(NodeProto node) {
        var changed = node.toBuilder();
        changed.getAttributeBuilderList().forEach(this::change);
        return changed.build();
    }

    private void change(AttributeProto.Builder attribute) {
        boolean isType = TYPES.contains(attribute.getName()) && attribute.hasI();
        if (isType && others.stream().anyMatch(type -> type.code() == attribute.getI())) {
            attribute.setI(ElementType.FLOAT.code());
        }
        if (attribute.hasT()) {
            attribute.setT(inFloats(attribute.getT()));
        }
        if (attribute.hasG()) {
            attribute.setG(inFloats(attribute.getG()));
        }
        for (int i = 0; i < attribute.getGraphsCount(); i++) {
            attribute.setGraphs(i, inFloats(attribute.getGraphs(i)));
        }
    }

    private GraphProto inFloats(GraphProto inner) {
        var changed = inner.toBuilder();
        changed.clearNode();
        inner.getNodeList().forEach(node -> changed.addNode(inFloats(node)));
        changed.clearInitializer();
        inner.getInitializerList().forEach(tensor -> changed.addInitializer(inFloats(tensor)));
        changed.getInputBuilderList().forEach(this::change);
        changed.getOutputBuilderList().forEach(this::change);
        changed.getValueInfoBuilderList().forEach(this::change);
        return changed.build();
    }

    private void change(ValueInfoProto.Builder value) {
        ElementType type = type(value.getType());
        if (type != null && others.contains(type)) {
            value.getTypeBuilder().getTensorTypeBuilder().setElemType(ElementType.FLOAT.code());
        }
    }

    private TensorProto inFloats(TensorProto tensor) {
        return others.contains(ElementType.of(tensor.getDataType()))
                ? inFloats(ConstantTensor.of(tensor)).toProto(tensor.getName())
                : tensor;
    }

    /** The same numbers, those of doubles that floats don't reach as the largest floats. */
    private static ConstantTensor inFloats(ConstantTensor constant) {
        float[] floats = constant.toFloats();
        if (constant.type() == ElementType.DOUBLE) {
            for (int i = 0; i < floats.length; i++) {
                if (Float.isInfinite(floats[i])) {
                    floats[i] = Math.copySign(Float.MAX_VALUE, floats[i]);
                }
            }
        }
        return ConstantTensor.floats(constant.shape(), floats);
    }
}
