package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.TensorShapeProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

@DisplayName("The command inspect, of an ONNX model,")
class OnnxInspectionTest {
    @TempDir Path directory;

    private String file = "";

    @BeforeEach
    void save() {
        Path path = directory.resolve("model.onnx");
        model().save(path);
        file = path.toString();
    }

    private static OnnxModel model() {
        var shape = TensorShapeProto.newBuilder();
        shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimParam("N"));
        shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimValue(3));
        shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimParam("H"));
        shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimParam("W"));
        var type = TypeProto.Tensor.newBuilder().setElemType(1).setShape(shape);
        var weight = ConstantTensor.floats(List.of(4L, 3L, 2L, 2L), new float[48]);
        OnnxNode conv =
                OnnxNode.of("Conv", List.of("x", "w"), "y").with("strides", List.of(2L, 2L));
        OnnxNode mystery = OnnxNode.of("my.own", "Mystery", List.of("y"), List.of("z\u001b[2J"));
        return OnnxModel.of(
                ModelProto.newBuilder()
                        .setIrVersion(8)
                        .setProducerName("pencil")
                        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                        .addOpsetImport(
                                OperatorSetIdProto.newBuilder().setDomain("my.own").setVersion(2))
                        .setGraph(
                                GraphProto.newBuilder()
                                        .setName("g")
                                        .addInput(
                                                ValueInfoProto.newBuilder()
                                                        .setName("x")
                                                        .setType(
                                                                TypeProto.newBuilder()
                                                                        .setTensorType(type)))
                                        .addInitializer(weight.toProto("w"))
                                        .addNode(conv.toProto())
                                        .addNode(mystery.toProto())
                                        .addOutput(
                                                ValueInfoProto.newBuilder().setName("z\u001b[2J")))
                        .build());
    }

    @Test
    @DisplayName("shows inputs and outputs, operators, layers with their costs, and weights")
    void shown() {
        CommandLineRun run = CommandLineRun.of("inspect", file, "--input", "x=2x3x8x6");

        assertEquals(0, run.code(), run.err());
        assertTrue(
                run.out().startsWith("ONNX model, opset 17, my.own 2, IR 8, made by pencil\n"),
                run.out());
        assertTrue(run.out().contains("input   Float[N, 3, H, W]"), run.out());
        assertTrue(run.out().matches("(?s).*\nConv +1 +48 +1,152 +1,728\n.*"), run.out());
        assertTrue(run.out().contains("Float[2, 4, 4, 3]"), run.out());
        assertTrue(
                run.out()
                        .contains(
                                "\n48 parameters, 1,152 MACs, 2,112 bytes moved for x of"
                                        + " [2, 3, 8, 6]\n"),
                run.out());
        assertTrue(
                run.out().contains("Not all is known, nor counted, of: my.own.Mystery (1)"),
                run.out());
        assertTrue(run.out().contains("  192 (0.000 MB) of Float\n"), run.out());
        assertFalse(run.out().contains("\u001b"), run.out());
    }

    @Test
    @DisplayName("prints its graph as a program")
    void program() {
        CommandLineRun run = CommandLineRun.of("inspect", file, "--program");

        assertEquals(
                """
                graph(x: Float[N, 3, H, W]):
                    y: Float[N, 4, H / 2, W / 2] = Conv(x, w[4, 3, 2, 2], strides=[2, 2])
                    z\\u001b[2J: ?[...] = my.own.Mystery(y)
                    return z\\u001b[2J
                """,
                run.out());
    }

    @Test
    @DisplayName("describes the same as one line of JSON")
    void json() {
        CommandLineRun run = CommandLineRun.of("inspect", file, "--json", "--input", "x=1x3x2x2");

        assertEquals(1, run.out().lines().count());
        JsonNode json = JsonMapper.builder().build().readTree(run.out());
        assertEquals("onnx", json.get("format").stringValue());
        assertEquals(48, json.get("macs").intValue());
        assertEquals(1, json.get("operators").get("my.own.Mystery").intValue());
        assertEquals(192, json.get("constant_bytes").get("Float").intValue());
        assertEquals("Float[1, 4, 1, 1]", json.get("layers").get(0).get("gives").stringValue());
    }

    @Test
    @DisplayName("names the node that can't run, in the place of costs that can't be")
    void cannotRun() {
        Path product = OnnxFile.ofNoProduct(directory.resolve("odd.onnx"));

        CommandLineRun run = CommandLineRun.of("inspect", product.toString());

        assertEquals(1, run.code());
        assertEquals("", run.out());
        assertEquals(
                "espalier: %s can't run: its node 'odd' (MatMul) takes [2, 3] and [4, 5], which don't multiply."
                        .formatted(product),
                run.err().strip());
    }

    @Test
    @DisplayName("refuses in one line what is damaged, and extents that the model does not take")
    void refused() throws IOException {
        byte[] bytes = Files.readAllBytes(Path.of(file));
        Path cut = directory.resolve("cut.onnx");
        Files.write(cut, Arrays.copyOf(bytes, bytes.length - 5));
        Path foreign = directory.resolve("foreign.onnx");
        Files.writeString(foreign, "This is no model.");
        for (Path wrong : List.of(cut, foreign, directory.resolve("none.onnx"), directory)) {
            CommandLineRun run = CommandLineRun.of("inspect", wrong + "");

            assertEquals(1, run.code(), run.err());
            assertEquals(1, run.err().lines().count(), run.err());
        }
        for (String input : List.of("x=1x4x2x2", "x=1x3", "y=1")) {
            CommandLineRun run = CommandLineRun.of("inspect", file, "--input", input);

            assertEquals(1, run.code(), run.err());
            assertEquals(1, run.err().lines().count(), run.err());
        }
        assertEquals(2, CommandLineRun.of("inspect", file, "--input", "x=1,3,2,2").code());
    }
}
