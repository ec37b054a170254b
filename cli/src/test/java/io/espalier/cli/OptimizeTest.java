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
import io.espalier.onnx.repair.Pass;
import io.espalier.onnx.repair.Repair;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

@DisplayName("The command optimize")
class OptimizeTest {
    @TempDir Path folder;
    private Path model;
    private Path out;

    @BeforeEach
    void model() {
        model = folder.resolve("m.onnx");
        out = folder.resolve("out.onnx");
        var dims = TensorShapeProto.newBuilder();
        dims.addDimBuilder().setDimParam("N");
        dims.addDimBuilder().setDimValue(4);
        var type =
                TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder().setElemType(1).setShape(dims));
        var graph =
                GraphProto.newBuilder()
                        .setName("g")
                        .addInput(ValueInfoProto.newBuilder().setName("x").setType(type))
                        .addOutput(ValueInfoProto.newBuilder().setName("y"))
                        .addInitializer(
                                ConstantTensor.floats(List.of(4L, 4L), new float[16]).toProto("w"))
                        .addInitializer(ConstantTensor.scalar(0.5f).toProto("s"))
                        .addNode(OnnxNode.of("MatMul", List.of("x", "w"), "a").toProto())
                        .addNode(OnnxNode.of("Identity", List.of("a"), "b").toProto())
                        .addNode(OnnxNode.of("Mul", List.of("b", "s"), "y").toProto());
        OnnxModel.of(
                        ModelProto.newBuilder()
                                .setIrVersion(8)
                                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                                .setGraph(graph)
                                .build())
                .save(model);
    }

    private CommandLineRun optimize(String... options) {
        String[] arguments = new String[options.length + 4];
        arguments[0] = "optimize";
        arguments[1] = model.toString();
        arguments[2] = "-o";
        arguments[3] = out.toString();
        System.arraycopy(options, 0, arguments, 4, options.length);
        return CommandLineRun.of(arguments);
    }

    private static List<String> operators(Path file) {
        return OnnxModel.load(file).graph().nodes().stream().map(OnnxNode::op).toList();
    }

    @Test
    @DisplayName("writes the repaired model, and says what was done and what came of it")
    void writes() {
        CommandLineRun run = optimize("--force");

        assertEquals(0, run.code(), run.err());
        assertEquals(List.of("MatMul"), operators(out));
        assertTrue(run.out().contains("fold-following       1"), run.out());
        assertTrue(run.out().contains("on random inputs x [1, 4]"), run.out());
    }

    @Test
    @DisplayName("says the same as JSON")
    void json() throws IOException {
        CommandLineRun run = optimize("--force", "--json");

        assertEquals(0, run.code(), run.err());
        JsonNode found = JsonMapper.builder().build().readTree(run.out());
        assertEquals(1, found.get("passes").get("no-operations").asInt());
        assertEquals(0, found.get("max_error").asDouble());
        assertEquals(Files.size(out), found.get("out").get("bytes").asLong());
        assertEquals(Files.size(model), found.get("model").get("bytes").asLong());
    }

    @Test
    @DisplayName("runs only the passes that are named, and helps by naming all")
    void passes() {
        CommandLineRun run = optimize("--force", "--passes", "no-operations,dead-code");
        assertEquals(0, run.code(), run.err());
        assertEquals(List.of("MatMul", "Mul"), operators(out));

        CommandLineRun wrong = optimize("--force", "--passes", "polish");
        assertEquals(2, wrong.code());
        assertTrue(wrong.err().contains("No pass is named 'polish'"), wrong.err());

        String help = CommandLineRun.of("optimize", "--help").out().replaceAll("\\s+", " ");
        assertTrue(
                help.contains(
                        Repair.all().stream().map(Pass::name).collect(Collectors.joining(", "))),
                help);
    }

    @Test
    @DisplayName("replaces no file unless it is told to, and never the model itself")
    void places() throws IOException {
        Files.writeString(out, "mine");
        CommandLineRun run = optimize();
        assertEquals(1, run.code());
        assertTrue(run.err().contains("is there already"), run.err());
        assertEquals("mine", Files.readString(out));

        Path weights = folder.resolve("other.onnx.data");
        Files.writeString(weights, "weights");
        out = folder.resolve("other.onnx");
        CommandLineRun beside = optimize("--force");
        assertEquals(1, beside.code());
        assertTrue(beside.err().contains("another model's weights"), beside.err());
        assertEquals("weights", Files.readString(weights));

        out = model;
        CommandLineRun same = optimize("--force");
        assertEquals(1, same.code());
        assertTrue(same.err().contains("is the model itself"), same.err());
    }

    @Test
    @DisplayName("refuses what is no model, and sizes that the model doesn't take, in a sentence")
    void refuses() throws IOException {
        CommandLineRun run = optimize("--size", "x[0]=0");
        assertEquals(2, run.code());
        assertTrue(run.err().contains("x[0]"), run.err());
        assertFalse(Files.exists(out));

        Files.writeString(model, "PK this is a zip");
        CommandLineRun foreign = optimize();
        assertEquals(1, foreign.code());
        assertTrue(foreign.err().contains("no ONNX model"), foreign.err());
    }
}
