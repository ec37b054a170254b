package io.espalier.cli;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.StringStringEntryProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Small models in files. */
final class OnnxFile {
    private OnnxFile() {}

    /**
     * A model that takes images, {@code image} [N, 3, 4, W], and gives {@code y}, Relu of what they
     * are times a factor, which it calls {@code scaled}.
     */
    static Path ofImages(Path file, float factor) {
        GraphProto.Builder graph = graph("image", ElementType.FLOAT, 0, 3, 4, -1);
        graph.addOutput(value("y", ElementType.FLOAT, 0, 3, 4, -1));
        graph.addInitializer(ConstantTensor.scalar(factor).toProto("factor"));
        graph.addNode(OnnxNode.of("Mul", List.of("image", "factor"), "scaled").toProto());
        graph.addNode(OnnxNode.of("Relu", List.of("scaled"), "y").toProto());
        return save(file, graph);
    }

    /** A model that takes {@code input_ids} [N, L] and gives them as they are. */
    static Path ofTokens(Path file) {
        GraphProto.Builder graph = graph("input_ids", ElementType.INT64, 0, -1);
        graph.addOutput(value("y", ElementType.INT64, 0, -1));
        graph.addNode(OnnxNode.of("Identity", List.of("input_ids"), "y").toProto());
        return save(file, graph);
    }

    /** A product with a matrix that has other extents than it would need. */
    static Path ofNoProduct(Path file) {
        GraphProto.Builder graph = graph("x", ElementType.FLOAT, 2, 3);
        graph.addOutput(value("y", ElementType.FLOAT, 2, 5));
        graph.addInitializer(ConstantTensor.floats(List.of(4L, 5L), new float[20]).toProto("w"));
        graph.addNode(OnnxNode.of("MatMul", List.of("x", "w"), "y").withName("odd").toProto());
        return save(file, graph);
    }

    /** A product with a matrix of ones that lies in a file of this name beside it. */
    static Path ofMatrixBeside(Path file, String weights) throws IOException {
        GraphProto.Builder graph = graph("x", ElementType.FLOAT, 0, 64);
        graph.addOutput(value("y", ElementType.FLOAT, 0, 64));
        graph.addInitializer(
                TensorProto.newBuilder()
                        .setName("w")
                        .setDataType(ElementType.FLOAT.code())
                        .addAllDims(List.of(64L, 64L))
                        .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                        .addExternalData(
                                StringStringEntryProto.newBuilder()
                                        .setKey("location")
                                        .setValue(weights)));
        graph.addNode(OnnxNode.of("MatMul", List.of("x", "w"), "y").toProto());
        var ones = ByteBuffer.allocate(64 * 64 * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        while (ones.hasRemaining()) {
            ones.putFloat(1);
        }
        Files.write(file.resolveSibling(weights), ones.array());
        Files.write(file, message(graph).toByteArray());
        return file;
    }

    /** A product with a matrix, {@code x} [N, 128] to {@code y} [N, 64]. */
    static Path ofMatrices(Path file) {
        GraphProto.Builder graph = graph("x", ElementType.FLOAT, 0, 128);
        graph.addOutput(value("y", ElementType.FLOAT, 0, 64));
        var random = new Random(6);
        var weight = new float[128 * 64];
        for (int i = 0; i < weight.length; i++) {
            weight[i] = (float) random.nextGaussian();
        }
        graph.addInitializer(ConstantTensor.floats(List.of(128L, 64L), weight).toProto("w"));
        graph.addNode(OnnxNode.of("MatMul", List.of("x", "w"), "y").toProto());
        return save(file, graph);
    }

    /**
     * Scores of 16 classes, number 3 the largest for black images, {@code image} [N, 3, 16, 16].
     */
    static Path ofClasses(Path file) {
        GraphProto.Builder graph = graph("image", ElementType.FLOAT, 0, 3, 16, 16);
        graph.addOutput(value("y", ElementType.FLOAT, 0, 16));
        var weight = new float[768 * 16];
        Arrays.fill(weight, 1f / 768);
        var bias = new float[16];
        bias[3] = 1;
        graph.addInitializer(ConstantTensor.floats(List.of(768L, 16L), weight).toProto("w"));
        graph.addInitializer(ConstantTensor.floats(List.of(16L), bias).toProto("b"));
        graph.addNode(OnnxNode.of("Flatten", List.of("image"), "f").toProto());
        graph.addNode(OnnxNode.of("Gemm", List.of("f", "w", "b"), "y").toProto());
        return save(file, graph);
    }

    /** Scores of two classes, of what 32 neurons make of images, {@code image} [N, 3, 16, 16]. */
    static Path ofNeurons(Path file) {
        GraphProto.Builder graph = graph("image", ElementType.FLOAT, 0, 3, 16, 16);
        graph.addOutput(value("y", ElementType.FLOAT, 0, 2));
        var random = new Random(7);
        long[][] shapes = {{768, 32}, {32, 2}};
        for (int i = 0; i < 2; i++) {
            var weight = new float[(int) (shapes[i][0] * shapes[i][1])];
            for (int j = 0; j < weight.length; j++) {
                weight[j] = (float) random.nextGaussian() / 8;
            }
            List<Long> shape = Arrays.stream(shapes[i]).boxed().toList();
            graph.addInitializer(ConstantTensor.floats(shape, weight).toProto("w" + i));
        }
        graph.addNode(OnnxNode.of("Flatten", List.of("image"), "f").toProto());
        graph.addNode(OnnxNode.of("MatMul", List.of("f", "w0"), "m").toProto());
        graph.addNode(OnnxNode.of("Relu", List.of("m"), "r").toProto());
        graph.addNode(OnnxNode.of("MatMul", List.of("r", "w1"), "y").toProto());
        return save(file, graph);
    }

    /** A small convolutional network that takes images, {@code image} [N, 3, 16, 16]. */
    static Path ofConvolutions(Path file) {
        GraphProto.Builder graph = graph("image", ElementType.FLOAT, 0, 3, 16, 16);
        graph.addOutput(value("y", ElementType.FLOAT, 0, 64, 16, 16));
        var random = new Random(5);
        String input = "image";
        long[][] shapes = {{64, 3, 3, 3}, {64, 64, 3, 3}};
        for (int i = 0; i < 2; i++) {
            var weight = new float[(int) Arrays.stream(shapes[i]).reduce(1, (a, b) -> a * b)];
            for (int j = 0; j < weight.length; j++) {
                weight[j] = (float) random.nextGaussian() / 8;
            }
            List<Long> shape = Arrays.stream(shapes[i]).boxed().toList();
            graph.addInitializer(ConstantTensor.floats(shape, weight).toProto("w" + i));
            graph.addNode(
                    OnnxNode.of("Conv", List.of(input, "w" + i), "c" + i)
                            .with("pads", List.of(1L, 1L, 1L, 1L))
                            .toProto());
            input = i == 0 ? "r0" : "y";
            graph.addNode(OnnxNode.of("Relu", List.of("c" + i), input).toProto());
        }
        return save(file, graph);
    }

    /**
     * Two convolutions of single pixels, the first half empty, of images {@code image} [N, 3, ?,
     * ?], with weights that are called {@code w}, a new line, and their number.
     */
    static Path ofAnySize(Path file) {
        GraphProto.Builder graph = graph("image", ElementType.FLOAT, 0, 3, -1, -1);
        graph.addOutput(value("y", ElementType.FLOAT, 0, 2, -1, -1));
        long[][] shapes = {{8, 3, 1, 1}, {2, 8, 1, 1}};
        String input = "image";
        for (int i = 0; i < 2; i++) {
            List<Long> shape = Arrays.stream(shapes[i]).boxed().toList();
            var weight = new float[(int) (shapes[i][0] * shapes[i][1])];
            Arrays.fill(weight, 0, weight.length / 2, 0.5f);
            String output = i == 0 ? "c" : "y";
            graph.addInitializer(ConstantTensor.floats(shape, weight).toProto("w\n" + i));
            graph.addNode(OnnxNode.of("Conv", List.of(input, "w\n" + i), output).toProto());
            input = output;
        }
        return save(file, graph);
    }

    private static GraphProto.Builder graph(String input, ElementType type, long... extents) {
        return GraphProto.newBuilder().setName("g").addInput(value(input, type, extents));
    }

    /** Extents of 0 are called N, those of −1 have no name. */
    private static ValueInfoProto value(String name, ElementType type, long... extents) {
        var tensor = TypeProto.Tensor.newBuilder().setElemType(type.code());
        for (long extent : extents) {
            var dimension = tensor.getShapeBuilder().addDimBuilder();
            if (extent > 0) {
                dimension.setDimValue(extent);
            } else if (extent == 0) {
                dimension.setDimParam("N");
            }
        }
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder().setTensorType(tensor))
                .build();
    }

    private static Path save(Path file, GraphProto.Builder graph) {
        OnnxModel.of(message(graph)).save(file);
        return file;
    }

    private static ModelProto message(GraphProto.Builder graph) {
        return ModelProto.newBuilder()
                .setIrVersion(8)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                .setGraph(graph)
                .build();
    }
}
