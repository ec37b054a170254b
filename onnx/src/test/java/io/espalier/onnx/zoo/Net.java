package io.espalier.onnx.zoo;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.StringStringEntryProto;
import io.espalier.onnx.proto.TensorShapeProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.UnaryOperator;

/**
 * A network being written as an exporter writes it: values have its names, constants its places.
 * Weights are drawn from a seed, of such a size that activations keep theirs.
 */
final class Net {
    final Exporter exporter;
    private final GraphProto.Builder graph = GraphProto.newBuilder().setName("main_graph");
    private final Random random = new Random(5);
    private int values;

    Net(Exporter exporter) {
        this.exporter = exporter;
    }

    /** An input such as {@code pixels: Float[batch, 3, 32, 32]}; its name. */
    String input(String declaration) {
        ValueInfoProto info = declared(declaration);
        graph.addInput(info);
        return info.getName();
    }

    /** A graph of a branch or a loop, whose values have names that this one has not. */
    Net inner() {
        var inner = new Net(exporter);
        inner.values = 1000 * ++values;
        return inner;
    }

    GraphProto graph(String... results) {
        for (String result : results) {
            graph.addOutput(ValueInfoProto.newBuilder().setName(result));
        }
        return graph.build();
    }

    static ValueInfoProto declared(String declaration) {
        String[] parts = declaration.split(":", -1);
        String type = parts[1].strip();
        int bracket = type.indexOf('[');
        var shape = TensorShapeProto.newBuilder();
        String dims = type.substring(bracket + 1, type.length() - 1);
        for (String dim : dims.isBlank() ? new String[0] : dims.split(",", -1)) {
            String text = dim.strip();
            shape.addDim(
                    text.matches("\\d+")
                            ? TensorShapeProto.Dimension.newBuilder()
                                    .setDimValue(Long.parseLong(text))
                            : TensorShapeProto.Dimension.newBuilder().setDimParam(text));
        }
        String element = type.substring(0, bracket).toUpperCase(Locale.ROOT);
        return ValueInfoProto.newBuilder()
                .setName(parts[0].strip())
                .setType(
                        TypeProto.newBuilder()
                                .setTensorType(
                                        TypeProto.Tensor.newBuilder()
                                                .setElemType(ElementType.valueOf(element).code())
                                                .setShape(shape)))
                .build();
    }

    /** A call's first result. */
    String call(String op, String... inputs) {
        return call(op, node -> node, inputs);
    }

    String call(String op, UnaryOperator<OnnxNode> attributes, String... inputs) {
        return calls(op, 1, attributes, inputs).getFirst();
    }

    /** A call's results. */
    List<String> calls(
            String op, int results, UnaryOperator<OnnxNode> attributes, String... inputs) {
        int number = ++values;
        String[] names = new String[results];
        for (int i = 0; i < results; i++) {
            names[i] =
                    exporter.traces()
                            ? "/net/" + op + "_" + number + "_output_" + i
                            : (i == 0 ? "val_" + number : "val_" + number + "_" + i);
        }
        OnnxNode node =
                attributes
                        .apply(OnnxNode.of("", op, List.of(inputs), List.of(names)))
                        .withName(
                                exporter.traces()
                                        ? "/net/" + op + "_" + number
                                        : "node_" + op.toLowerCase(Locale.ROOT) + "_" + number);
        graph.addNode(exporter.traces() ? node.toProto() : annotated(node.toProto()));
        return List.of(names);
    }

    /** The newer exporter says of each node where it comes from. */
    private static NodeProto annotated(NodeProto node) {
        return node.toBuilder()
                .addMetadataProps(
                        StringStringEntryProto.newBuilder()
                                .setKey("pkg.torch.onnx.class_hierarchy")
                                .setValue(
                                        "['net.Net', 'torch.nn.modules." + node.getOpType() + "']"))
                .build();
    }

    /** Weights beside the nodes, normally distributed. */
    String weight(double deviation, long... extents) {
        int count = (int) Arrays.stream(extents).reduce(1, (a, b) -> a * b);
        var numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) (random.nextGaussian() * deviation);
        }
        return initializer(
                "weight", ConstantTensor.floats(Arrays.stream(extents).boxed().toList(), numbers));
    }

    /** Numbers around one, as scales and variances are. */
    String around(double middle, double deviation, long count) {
        var numbers = new float[(int) count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) (middle + (2 * random.nextDouble() - 1) * deviation);
        }
        return initializer("weight", ConstantTensor.floats(List.of(count), numbers));
    }

    String initializer(String like, ConstantTensor tensor) {
        String name =
                exporter.traces() ? "net." + like + "." + ++values : "net." + ++values + "." + like;
        graph.addInitializer(tensor.toProto(name));
        return name;
    }

    /** A constant between the nodes: a node of its own where a tracer wrote it. */
    String constant(ConstantTensor tensor) {
        if (exporter.traces()) {
            return call("Constant", node -> node.with("value", tensor));
        }
        return initializer("const", tensor);
    }

    String integers(long... numbers) {
        return constant(ConstantTensor.longs(List.of((long) numbers.length), numbers));
    }

    String integer(long number) {
        return constant(ConstantTensor.longs(List.of(), number));
    }

    String number(double number) {
        return constant(ConstantTensor.scalar((float) number));
    }

    static UnaryOperator<OnnxNode> axis(long axis) {
        return node -> node.with("axis", axis);
    }

    static UnaryOperator<OnnxNode> integers(String name, Long... numbers) {
        return node -> node.with(name, List.of(numbers));
    }

    /** The finished model. */
    OnnxModel model(String... results) {
        for (String result : results) {
            graph.addOutput(
                    result.contains(":")
                            ? declared(result)
                            : ValueInfoProto.newBuilder().setName(result).build());
        }
        var model =
                ModelProto.newBuilder()
                        .setIrVersion(exporter.irVersion)
                        .setProducerName("pytorch")
                        .setProducerVersion(exporter.traces() ? "2.0.0" : "2.7.0")
                        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(exporter.opset))
                        .setGraph(graph);
        if (!exporter.traces()) {
            model.addMetadataProps(
                    StringStringEntryProto.newBuilder().setKey("note").setValue("net"));
        }
        return OnnxModel.of(model.build());
    }
}
