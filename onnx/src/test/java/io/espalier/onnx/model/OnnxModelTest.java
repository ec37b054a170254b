package io.espalier.onnx.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.StringStringEntryProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

@DisplayName("A model's file")
class OnnxModelTest {
    @TempDir Path folder;

    @Test
    @DisplayName("comes back as it was, message for message")
    void comesBack() throws IOException {
        Path file = RealModels.ocr(folder);
        Path copy = folder.resolve("copy.onnx");

        OnnxModel.load(file).save(copy);

        assertEquals(
                ModelProto.parseFrom(Files.readAllBytes(file)),
                ModelProto.parseFrom(Files.readAllBytes(copy)));
    }

    @Test
    @DisplayName("keeps what this version of the standard does not know")
    void keepsUnknownFields() throws IOException {
        byte[] unknown = {(byte) 0xD2, 0x3E, 2, 'h', 'i'};
        Path file = folder.resolve("m.onnx");
        var model = relu().toBuilder();
        Files.write(file, concat(model.build().toByteArray(), unknown));

        Path copy = folder.resolve("copy.onnx");
        OnnxModel.load(file).save(copy);

        assertEquals(
                ModelProto.parseFrom(Files.readAllBytes(file)),
                ModelProto.parseFrom(Files.readAllBytes(copy)));
        assertEquals(
                1,
                ModelProto.parseFrom(Files.readAllBytes(copy)).getUnknownFields().asMap().size());
    }

    @Test
    @DisplayName("keeps its weights beside it when they came so")
    void externalWeights() throws IOException {
        float[] values = new float[4096];
        for (int i = 0; i < values.length; i++) {
            values[i] = i;
        }
        var weights = ConstantTensor.floats(List.of(4096L), values);
        Files.write(folder.resolve("w.bin"), weights.bytes().toArray(ValueLayout.JAVA_BYTE));
        Path file = folder.resolve("m.onnx");
        Files.write(file, withExternal("w.bin", "0", "16384").toByteArray());

        OnnxModel model = OnnxModel.load(file);
        Path copy = folder.resolve("copy.onnx");
        model.save(copy);
        OnnxModel again = OnnxModel.load(copy);

        assertTrue(Files.exists(folder.resolve("copy.onnx.data")));
        assertTrue(Files.size(copy) < 1000);
        assertArrayEquals(values, Objects.requireNonNull(again.graph().constant("w")).toFloats());
    }

    @Test
    @DisplayName("reads no file outside its own folder, and nothing past a file's end")
    void hostileExternalData() throws IOException {
        Files.write(folder.resolve("w.bin"), new byte[100]);
        for (String[] entry :
                new String[][] {
                    {"/etc/passwd", "0", "16384"},
                    {"../w.bin", "0", "16384"},
                    {"", "0", "16384"},
                    {"w.bin", "0", "16384"},
                    {"w.bin", "9223372036854775807", "16384"},
                    {"w.bin", "-1", "16384"},
                    {"w.bin", "0", "99"},
                    {"w.bin", "x", "16384"},
                    {"gone.bin", "0", "16384"},
                    {"a\0b", "0", "16384"},
                }) {
            Path file = folder.resolve("m.onnx");
            Files.write(file, withExternal(entry[0], entry[1], entry[2]).toByteArray());

            var error = assertThrows(EspalierException.class, () -> OnnxModel.load(file));

            assertTrue(String.valueOf(error.getMessage()).contains("'w'"), error.getMessage());
        }
    }

    @Test
    @DisplayName("is refused in one sentence where it is truncated, foreign or goes in a circle")
    void refused() throws IOException {
        Path file = folder.resolve("m.onnx");
        byte[] whole = relu().toByteArray();
        refused(file, new byte[0], "no graph");
        refused(file, "PK\3\4 this is a zip".getBytes(StandardCharsets.US_ASCII), "no ONNX model");
        refused(file, Arrays.copyOf(whole, whole.length - 9), "damaged");

        var circle = relu().toBuilder();
        circle.getGraphBuilder().getNodeBuilder(0).setInput(0, "z");
        circle.getGraphBuilder()
                .addNode(NodeProto.newBuilder().setOpType("Neg").addInput("y").addOutput("z"));
        refused(file, circle.build().toByteArray(), "circle");

        var missing = relu().toBuilder();
        missing.getGraphBuilder().getNodeBuilder(0).setInput(0, "nobody");
        refused(file, missing.build().toByteArray(), "'nobody'");

        var twice = relu().toBuilder();
        twice.getGraphBuilder()
                .addNode(NodeProto.newBuilder().setOpType("Neg").addInput("x").addOutput("y"));
        refused(file, twice.build().toByteArray(), "made twice");

        var huge = relu().toBuilder();
        huge.getGraphBuilder()
                .addInitializer(
                        TensorProto.newBuilder()
                                .setName("w")
                                .setDataType(1)
                                .addDims(1L << 32)
                                .addDims(1L << 32));
        refused(file, huge.build().toByteArray(), "more elements");

        var longer = relu().toBuilder();
        longer.getGraphBuilder()
                .addInitializer(
                        TensorProto.newBuilder().setName("w").setDataType(1).addDims(1L << 40));
        refused(file, longer.build().toByteArray(), "'w'");
    }

    @Test
    @DisplayName("gets new values under names that no graph inside a node uses either")
    void freshNames() {
        var inner =
                GraphProto.newBuilder()
                        .addNode(
                                NodeProto.newBuilder()
                                        .setOpType("Neg")
                                        .addInput("x")
                                        .addOutput("w"))
                        .addOutput(ValueInfoProto.newBuilder().setName("w"));
        var model = relu().toBuilder();
        model.getGraphBuilder()
                .addNode(
                        NodeProto.newBuilder()
                                .setOpType("If")
                                .addInput("y")
                                .addOutput("z")
                                .addAttribute(
                                        AttributeProto.newBuilder()
                                                .setName("then_branch")
                                                .setG(inner)));

        OnnxGraph graph = OnnxModel.of(model.build()).graph();

        assertEquals("w_1", graph.freshName("w"));
        assertEquals("v", graph.freshName("v"));
    }

    private static void refused(Path file, byte[] bytes, String words) throws IOException {
        Files.write(file, bytes);

        var error = assertThrows(EspalierException.class, () -> OnnxModel.load(file));

        assertTrue(String.valueOf(error.getMessage()).contains(words), error.getMessage());
        assertTrue(
                String.valueOf(error.getMessage()).contains(file.toString()), error.getMessage());
    }

    private static byte[] concat(byte[] a, byte[] b) {
        byte[] both = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, both, a.length, b.length);
        return both;
    }

    private static ModelProto relu() {
        return ModelProto.newBuilder()
                .setIrVersion(8)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                .setGraph(
                        GraphProto.newBuilder()
                                .setName("g")
                                .addInput(ValueInfoProto.newBuilder().setName("x"))
                                .addOutput(ValueInfoProto.newBuilder().setName("y"))
                                .addNode(
                                        NodeProto.newBuilder()
                                                .setOpType("Relu")
                                                .addInput("x")
                                                .addOutput("y")
                                                .addAttribute(
                                                        AttributeProto.newBuilder()
                                                                .setName("note")
                                                                .setI(3))))
                .build();
    }

    private static ModelProto withExternal(String location, String offset, String length) {
        var model = relu().toBuilder();
        model.getGraphBuilder()
                .addInitializer(
                        TensorProto.newBuilder()
                                .setName("w")
                                .setDataType(1)
                                .addDims(4096)
                                .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                                .addExternalData(entry("location", location))
                                .addExternalData(entry("offset", offset))
                                .addExternalData(entry("length", length)));
        return model.build();
    }

    private static StringStringEntryProto entry(String key, String value) {
        return StringStringEntryProto.newBuilder().setKey(key).setValue(value).build();
    }
}
