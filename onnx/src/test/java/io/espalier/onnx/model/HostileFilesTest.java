package io.espalier.onnx.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.sun.management.ThreadMXBean;

import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

@DisplayName("Damaged and hostile files")
class HostileFilesTest {
    private static final long MOST_BYTES = 64L << 20;

    @TempDir Path folder;

    private int used;

    @BeforeEach
    void weights() throws IOException {
        Files.write(folder.resolve("w.bin"), new byte[HostileModels.DATA_BYTES]);
    }

    @Test
    @DisplayName(
            "are read, printed, saved and read again, or refused in one line, in little memory")
    void mutated() throws IOException {
        int count = Integer.getInteger("mutations", 400);
        List<ModelProto> models = HostileModels.all();
        int accepted = 0;
        for (int seed = 0; seed < count; seed++) {
            byte[] bytes = new Mutation(seed).of(models.get(seed % models.size()));
            accepted += isAccepted("mutation " + seed, bytes) ? 1 : 0;
        }
        assertTrue(accepted > count / 20, "accepted " + accepted);
        assertTrue(accepted < count * 19 / 20, "accepted " + accepted);
    }

    /** Whether a file is taken; any end but that and one clear error fails the test. */
    private boolean isAccepted(String what, byte[] bytes) throws IOException {
        Path file = folder.resolve("m.onnx");
        Files.write(file, bytes);
        long before = allocated();
        try {
            use(file);
            return true;
        } catch (EspalierException e) {
            String message = String.valueOf(e.getMessage());
            assertFalse(message.isBlank(), what);
            assertEquals(1, message.lines().count(), message);
            return false;
        } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
            return fail(what + ": " + e, e);
        } finally {
            assertTrue(allocated() - before < MOST_BYTES, what + ": " + (allocated() - before));
        }
    }

    private static long allocated() {
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        return threads.getCurrentThreadAllocatedBytes();
    }

    private void use(Path file) throws IOException {
        OnnxModel model = OnnxModel.load(file);
        OnnxModel copy = model.copy();
        copy.graph().removeUnused();
        for (ConstantTensor constant : model.graph().constants().values()) {
            String unused = constant.toString() + constant.byteSize();
            assertFalse(unused.isEmpty());
        }
        model.graph().nodes().forEach(node -> assertFalse(node.toString().isEmpty()));
        assertEquals(model.graph().outputs(), copy.graph().outputs());
        if (used++ % 8 == 0) { // each waits for the disk
            Path saved = folder.resolve("saved.onnx");
            model.save(saved);
            assertEquals(model.toProto(), OnnxModel.load(saved).toProto());
        } else {
            ModelProto message = model.toProto();
            assertEquals(message, OnnxModel.of(message).toProto());
        }
        Shapes.of(model);
    }

    @Test
    @DisplayName("keep what lies in other files for attributes and inner graphs")
    void externalEverywhere() throws IOException {
        byte[] bytes = new byte[HostileModels.DATA_BYTES];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        Files.write(folder.resolve("w.bin"), bytes);
        Path elsewhere = Files.createDirectory(folder.resolve("elsewhere"));
        for (ModelProto proto : HostileModels.all()) {
            Path file = folder.resolve("m.onnx");
            Files.write(file, proto.toByteArray());
            Path saved = elsewhere.resolve("m.onnx");

            OnnxModel.load(file).save(saved);

            String text = OnnxModel.load(saved).toProto().toString();
            assertFalse(text.contains("w.bin"), text);
        }
        OnnxModel saved = OnnxModel.load(elsewhere.resolve("m.onnx"));
        var body = saved.graph().nodes().getFirst().subgraphs().getFirst();
        var branch = new OnnxNode(body.getNode(1)).subgraphs().getFirst();
        byte[] inner = branch.getInitializer(0).getRawData().toByteArray();
        assertEquals(16, inner.length);
        assertEquals(32, inner[0]);
    }
}
