package io.espalier.onnx;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.TensorShapeProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.UnaryOperator;

/**
 * Builds models for tests, line by line:
 *
 * <pre>{@code
 * TestGraphs.opset(17).input("x: Float[N, 3, 8, 8]").weight("w", 4, 3, 3, 3)
 *         .node("y = Conv(x, w)", node -> node.with("pads", List.of(1L, 1L, 1L, 1L)))
 *         .output("y").build()
 * }</pre>
 */
public final class TestGraphs {
    private final ModelProto.Builder model = ModelProto.newBuilder().setIrVersion(10);
    private final GraphProto.Builder graph = GraphProto.newBuilder().setName("test");
    private final Random random = new Random(7);

    private TestGraphs() {}

    /** An empty graph that calls this version's operators, and the runtime's own. */
    public static TestGraphs opset(long version) {
        var graphs = new TestGraphs();
        graphs.model
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(version))
                .addOpsetImport(
                        OperatorSetIdProto.newBuilder()
                                .setDomain(OnnxNode.MICROSOFT)
                                .setVersion(1));
        return graphs;
    }

    /** An input such as {@code x: Float[N, 3]}; without brackets nothing is said of its shape. */
    public TestGraphs input(String declaration) {
        graph.addInput(declared(declaration));
        return this;
    }

    /** A type that the graph says of a value inside. */
    public TestGraphs info(String declaration) {
        graph.addValueInfo(declared(declaration));
        return this;
    }

    /** A result, with or without its type. */
    public TestGraphs output(String declaration) {
        graph.addOutput(declared(declaration));
        return this;
    }

    private static ValueInfoProto declared(String declaration) {
        String[] parts = declaration.split(":", -1);
        var info = ValueInfoProto.newBuilder().setName(parts[0].strip());
        if (parts.length > 1) {
            String type = parts[1].strip();
            int bracket = type.indexOf('[');
            String name = bracket < 0 ? type : type.substring(0, bracket);
            var tensor =
                    TypeProto.Tensor.newBuilder()
                            .setElemType(ElementType.valueOf(name.toUpperCase(Locale.ROOT)).code());
            if (bracket >= 0) {
                tensor.setShape(shape(type.substring(bracket + 1, type.length() - 1)));
            }
            info.setType(TypeProto.newBuilder().setTensorType(tensor));
        }
        return info.build();
    }

    private static TensorShapeProto shape(String dims) {
        var shape = TensorShapeProto.newBuilder();
        for (String dim : dims.isBlank() ? new String[0] : dims.split(",", -1)) {
            String text = dim.strip();
            var one = TensorShapeProto.Dimension.newBuilder();
            if (text.matches("\\d+")) {
                one.setDimValue(Long.parseLong(text));
            } else if (!text.equals("?")) {
                one.setDimParam(text);
            }
            shape.addDim(one);
        }
        return shape.build();
    }

    /** A constant. */
    public TestGraphs constant(String name, ConstantTensor tensor) {
        graph.addInitializer(tensor.toProto(name));
        return this;
    }

    /** A row of integers. */
    public TestGraphs integers(String name, long... values) {
        return constant(name, ConstantTensor.longs(List.of((long) values.length), values));
    }

    /** An integer without dimensions. */
    public TestGraphs integer(String name, long value) {
        return constant(name, ConstantTensor.longs(List.of(), value));
    }

    /** A row of floats. */
    public TestGraphs floats(String name, float... values) {
        return constant(name, ConstantTensor.floats(List.of((long) values.length), values));
    }

    /** Normally distributed floats, the same in each run. */
    public TestGraphs weight(String name, long... extents) {
        int count = (int) Arrays.stream(extents).reduce(1, (a, b) -> a * b);
        var values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return constant(
                name, ConstantTensor.floats(Arrays.stream(extents).boxed().toList(), values));
    }

    /** A call such as {@code y, z = Split(x)}; a colon separates another domain's name. */
    public TestGraphs node(String call) {
        return node(call, node -> node);
    }

    /** A call with attributes. */
    public TestGraphs node(String call, UnaryOperator<OnnxNode> attributes) {
        graph.addNode(attributes.apply(call(call)).toProto());
        return this;
    }

    private static OnnxNode call(String text) {
        int equals = text.indexOf('=');
        int open = text.indexOf('(');
        String op = text.substring(equals + 1, open).strip();
        int colon = op.indexOf(':');
        return OnnxNode.of(
                colon < 0 ? "" : op.substring(0, colon),
                op.substring(colon + 1),
                names(text.substring(open + 1, text.lastIndexOf(')'))),
                names(text.substring(0, equals)));
    }

    private static List<String> names(String text) {
        return text.isBlank()
                ? List.of()
                : Arrays.stream(text.split(",", -1)).map(String::strip).toList();
    }

    /** A function of the file's own, called as in this text, of the nodes of another graph. */
    public TestGraphs function(String call, TestGraphs body) {
        OnnxNode called = call(call);
        var domain =
                OperatorSetIdProto.newBuilder().setDomain(called.domain()).setVersion(1).build();
        if (!model.getOpsetImportList().contains(domain)) {
            model.addOpsetImport(domain);
        }
        model.addFunctions(
                FunctionProto.newBuilder()
                        .setDomain(called.domain())
                        .setName(called.op())
                        .addAllInput(called.inputs())
                        .addAllOutput(called.outputs())
                        .addAllNode(body.graph.getNodeList())
                        .addAllOpsetImport(body.model.getOpsetImportList())
                        .addOpsetImport(domain));
        return this;
    }

    /** The graph alone, as an attribute of a node has it. */
    public GraphProto graph() {
        return graph.build();
    }

    /** The model. */
    public OnnxModel build() {
        return OnnxModel.of(model.setGraph(graph).build());
    }
}
