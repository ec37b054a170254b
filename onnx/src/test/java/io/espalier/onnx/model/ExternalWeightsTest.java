package io.espalier.onnx.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;

import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.StringStringEntryProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

@DisplayName("Weights in a file beside the model's")
class ExternalWeightsTest {
    @TempDir Path folder;

    private Path model(String data, long elements) throws IOException {
        var weight =
                TensorProto.newBuilder()
                        .setName("w")
                        .setDataType(ElementType.FLOAT.code())
                        .addDims(elements)
                        .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                        .addExternalData(
                                StringStringEntryProto.newBuilder()
                                        .setKey("location")
                                        .setValue(data));
        var proto =
                ModelProto.newBuilder()
                        .setIrVersion(8)
                        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                        .setGraph(
                                GraphProto.newBuilder()
                                        .addInitializer(weight)
                                        .addOutput(ValueInfoProto.newBuilder().setName("y"))
                                        .addNode(
                                                OnnxNode.of("Identity", List.of("w"), "y")
                                                        .toProto()))
                        .build();
        Path file = folder.resolve("m.onnx");
        Files.write(file, proto.toByteArray());
        return file;
    }

    private static float[] weights(OnnxModel model) {
        return Objects.requireNonNull(model.graph().constant("w")).toFloats();
    }

    @Test
    @DisplayName("may be more than two gigabytes, which loading does not read")
    void large() throws IOException {
        long elements = 700_000_000;
        try (var data = new RandomAccessFile(folder.resolve("w.bin").toFile(), "rw")) {
            data.setLength(4 * elements); // without a block on disk
        }
        Path file = model("w.bin", elements);
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();

        OnnxModel loaded = OnnxModel.load(file);

        ConstantTensor weight = Objects.requireNonNull(loaded.graph().constant("w"));
        assertEquals(0, weight.bytes().get(ValueLayout.JAVA_BYTE, 4 * elements - 1));
        assertTrue(threads.getCurrentThreadAllocatedBytes() - before < 10_000_000);
        assertEquals(4 * elements, loaded.constantBytes());
        assertThrows(EspalierException.class, loaded::toProto);
    }

    @Test
    @DisplayName("are saved over the files that they are read from")
    void overItself() throws IOException {
        float[] values = new float[2000];
        for (int i = 0; i < values.length; i++) {
            values[i] = i;
        }
        byte[] bytes =
                ConstantTensor.floats(List.of(2000L), values)
                        .bytes()
                        .toArray(ValueLayout.JAVA_BYTE);
        Files.write(folder.resolve("m.onnx.data"), bytes);
        Path file = model("m.onnx.data", values.length);
        OnnxModel loaded = OnnxModel.load(file);

        loaded.save(file);
        loaded.save(file);

        assertArrayEquals(values, weights(loaded));
        assertArrayEquals(values, weights(OnnxModel.load(file)));
    }

    @Test
    @DisplayName("leave the model's file as it was when they can't be written")
    void wholeOrNotAtAll() throws IOException {
        Files.write(folder.resolve("w.bin"), new byte[8000]);
        Path file = model("w.bin", 2000);
        byte[] before = Files.readAllBytes(file);
        Files.createDirectory(folder.resolve("m.onnx.data"));
        OnnxModel loaded = OnnxModel.load(file);

        var error = assertThrows(EspalierException.class, () -> loaded.save(file));

        assertTrue(String.valueOf(error.getMessage()).contains("m.onnx.data"));
        assertArrayEquals(before, Files.readAllBytes(file));
        try (var files = Files.list(folder)) {
            assertEquals(3, files.count());
        }
    }
}
