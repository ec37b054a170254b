package io.espalier.onnx.run;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.LongStream;

/** What is constant in a graph, and, within a node's graph, in those around it. */
final class KnownIntegers {
    private final Map<String, Optional<ConstantTensor>> own = new HashMap<>();
    private final Function<String, @Nullable ConstantTensor> others;

    /** Those of a graph. */
    KnownIntegers(OnnxGraph graph) {
        others = graph::constant;
        graph.nodes().forEach(this::add);
    }

    /** Those of a function's nodes. */
    KnownIntegers(List<NodeProto> nodes) {
        others = name -> null;
        nodes.forEach(node -> add(OnnxNode.of(node)));
    }

    private KnownIntegers(GraphProto inner, KnownIntegers outer) {
        others = outer::constant;
        inner.getInputList().forEach(input -> own.put(input.getName(), Optional.empty()));
        inner.getInitializerList()
                .forEach(t -> own.put(t.getName(), Optional.of(ConstantTensor.of(t))));
        inner.getNodeList().forEach(node -> add(OnnxNode.of(node)));
    }

    /** Those of a graph inside a node of this one. */
    KnownIntegers within(GraphProto inner) {
        return new KnownIntegers(inner, this);
    }

    private void add(OnnxNode node) {
        node.outputs().forEach(output -> own.put(output, Optional.empty()));
        AttributeProto value = node.attribute("value");
        if (node.is("Constant") && value != null && value.hasT()) {
            own.put(node.output(), Optional.of(ConstantTensor.of(value.getT())));
        } else if (node.is("Constant") && node.has("value_int")) {
            own.put(
                    node.output(),
                    Optional.of(ConstantTensor.longs(List.of(), node.integer("value_int", 0))));
        }
    }

    private @Nullable ConstantTensor constant(String name) {
        Optional<ConstantTensor> found = own.get(name);
        return found == null ? others.apply(name) : found.orElse(null);
    }

    /** The type that a constant operand shows; null if none is constant. */
    @Nullable ElementType type(OnnxNode node) {
        ConstantTensor operand = constant(node.input(1));
        if (operand == null) {
            operand = constant(node.input(0));
        }
        return operand == null ? null : operand.type();
    }

    /** Whether a constant operand shows that the least integer is not divided by -1. */
    boolean neverMeet(OnnxNode node) {
        return lacks(constant(node.input(1)), type -> -1L)
                || lacks(constant(node.input(0)), KnownIntegers::least);
    }

    private static long least(ElementType type) {
        return type == ElementType.INT32 ? Integer.MIN_VALUE : Long.MIN_VALUE;
    }

    private static boolean lacks(
            @Nullable ConstantTensor constant, Function<ElementType, Long> number) {
        if (constant == null) {
            return false;
        }
        ElementType type = constant.type();
        long sought = number.apply(type);
        return (type != ElementType.INT32 && type != ElementType.INT64)
                || LongStream.of(constant.toLongs()).noneMatch(each -> each == sought);
    }
}
