package io.espalier.onnx.model;

import com.google.protobuf.ByteString;

import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.AttributeProto.AttributeType;
import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.SparseTensorProto;
import io.espalier.onnx.proto.StringStringEntryProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.TensorShapeProto;
import io.espalier.onnx.proto.TrainingInfoProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;

import java.util.List;

/** Small models that have of all that files may hold. */
final class HostileModels {
    /** The bytes of {@code w.bin}, which lies beside them. */
    static final int DATA_BYTES = 64;

    private HostileModels() {}

    static List<ModelProto> all() {
        return List.of(plain(), nested());
    }

    private static StringStringEntryProto entry(String key, String value) {
        return StringStringEntryProto.newBuilder().setKey(key).setValue(value).build();
    }

    private static ValueInfoProto value(String name, String... shape) {
        var dims = TensorShapeProto.newBuilder();
        for (String dim : shape) {
            dims.addDim(TensorShapeProto.Dimension.newBuilder().setDimParam(dim));
        }
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(
                        TypeProto.newBuilder()
                                .setTensorType(
                                        TypeProto.Tensor.newBuilder()
                                                .setElemType(1)
                                                .setShape(dims)))
                .build();
    }

    private static TensorProto.Builder tensor(String name, ElementType type, long... dims) {
        var tensor = TensorProto.newBuilder().setName(name).setDataType(type.code());
        for (long dim : dims) {
            tensor.addDims(dim);
        }
        return tensor;
    }

    /** A tensor of four floats in {@code w.bin}. */
    static TensorProto away(String name, long offset) {
        return tensor(name, ElementType.FLOAT, 4)
                .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                .addExternalData(entry("location", "w.bin"))
                .addExternalData(entry("offset", Long.toString(offset)))
                .addExternalData(entry("length", "16"))
                .build();
    }

    static NodeProto node(
            String op, List<String> inputs, List<String> outputs, AttributeProto... attributes) {
        return NodeProto.newBuilder()
                .setOpType(op)
                .setName(op + "_0")
                .addAllInput(inputs)
                .addAllOutput(outputs)
                .addAllAttribute(List.of(attributes))
                .build();
    }

    static AttributeProto attribute(String name, TensorProto value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeType.TENSOR)
                .setT(value)
                .build();
    }

    static AttributeProto attribute(String name, GraphProto value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeType.GRAPH)
                .setG(value)
                .build();
    }

    private static ModelProto.Builder model(GraphProto.Builder graph) {
        return ModelProto.newBuilder()
                .setIrVersion(8)
                .setProducerName("test")
                .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("").setVersion(17))
                .addMetadataProps(entry("key", "value"))
                .setGraph(graph);
    }

    /** Constants of each kind, in each place that the standard has for them. */
    private static ModelProto plain() {
        var graph =
                GraphProto.newBuilder()
                        .setName("g")
                        .addInput(value("x", "N", "C"))
                        .addOutput(value("y", "N", "C"))
                        .addValueInfo(value("h", "N", "C"))
                        .addInitializer(
                                tensor("raw", ElementType.FLOAT, 2, 2)
                                        .setRawData(ByteString.copyFrom(new byte[16])))
                        .addInitializer(
                                tensor("floats", ElementType.FLOAT, 2)
                                        .addFloatData(1)
                                        .addFloatData(2))
                        .addInitializer(
                                tensor("halves", ElementType.FLOAT16, 2)
                                        .addInt32Data(15360)
                                        .addInt32Data(0))
                        .addInitializer(
                                tensor("longs", ElementType.INT64, 2)
                                        .addInt64Data(-1)
                                        .addInt64Data(2))
                        .addInitializer(
                                tensor("nibbles", ElementType.INT4, 3)
                                        .addInt32Data(0x21)
                                        .addInt32Data(0x03))
                        .addInitializer(
                                tensor("text", ElementType.STRING, 1)
                                        .addStringData(ByteString.copyFromUtf8("hi")))
                        .addInitializer(tensor("scalar", ElementType.DOUBLE).addDoubleData(0.5))
                        .addInitializer(away("w", 0))
                        .addSparseInitializer(
                                SparseTensorProto.newBuilder()
                                        .setValues(
                                                tensor("sparse", ElementType.FLOAT, 1)
                                                        .addFloatData(3))
                                        .setIndices(
                                                tensor("", ElementType.INT64, 1).addInt64Data(1))
                                        .addDims(4))
                        .addNode(node("MatMul", List.of("x", "raw"), List.of("h")))
                        .addNode(
                                node(
                                        "Constant",
                                        List.of(),
                                        List.of("c"),
                                        attribute("value", away("", 16))))
                        .addNode(node("Add", List.of("h", "floats"), List.of("y")));
        return model(graph).build();
    }

    /** Graphs within nodes, functions, training. */
    private static ModelProto nested() {
        var branch =
                GraphProto.newBuilder()
                        .setName("then")
                        .addInitializer(away("inner", 32))
                        .addNode(node("Mul", List.of("x", "inner"), List.of("t")))
                        .addOutput(value("t"))
                        .build();
        var body =
                GraphProto.newBuilder()
                        .setName("body")
                        .addInput(value("i"))
                        .addInput(value("go"))
                        .addInput(value("before"))
                        .addNode(node("Identity", List.of("go"), List.of("again")))
                        .addNode(
                                node(
                                        "If",
                                        List.of("go"),
                                        List.of("after"),
                                        attribute("then_branch", branch),
                                        attribute("else_branch", branch)))
                        .addOutput(value("again"))
                        .addOutput(value("after"))
                        .build();
        var graph =
                GraphProto.newBuilder()
                        .setName("g")
                        .addInput(value("x", "N"))
                        .addOutput(value("y", "N"))
                        .addInitializer(tensor("n", ElementType.INT64).addInt64Data(3))
                        .addNode(
                                node(
                                        "Loop",
                                        List.of("n", "", "x"),
                                        List.of("y"),
                                        attribute("body", body)));
        return model(graph)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("mine").setVersion(1))
                .addFunctions(
                        FunctionProto.newBuilder()
                                .setName("f")
                                .setDomain("mine")
                                .addInput("a")
                                .addOutput("b")
                                .addNode(node("Relu", List.of("a"), List.of("b"))))
                .addTrainingInfo(
                        TrainingInfoProto.newBuilder()
                                .setAlgorithm(GraphProto.newBuilder().setName("step")))
                .build();
    }
}
