package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Random;

@DisplayName("A quantized file used wrongly")
class QuantizedFileErrorsTest extends WrongUse {
    @TempDir Path directory;

    @Test
    @DisplayName("refuses a file of another architecture")
    void otherArchitecture() {
        Path file = directory.resolve("model.safetensors");
        Quantization.save(converted(), file);
        model = new Sequential(new Linear(6, 5));
        refuses(() -> Quantization.load(model, file), "quantized layer at '2'", "has none");
        model = new Sequential(new Linear(7, 5), new ReLU(), new Linear(5, 4));
        refuses(() -> Quantization.load(model, file), "[5, 6] at '0'", "in_features=7");
        model = new Sequential(new Conv1d(6, 5, 1), new ReLU(), new Linear(5, 4));
        refuses(() -> Quantization.load(model, file), "[5, 6] at '0'", "Conv1d(6, 5");
        var dynamic = network();
        Quantization.quantizeDynamic(dynamic);
        Quantization.save(dynamic, file);
        model = new Sequential(new Linear(6, 5), new ReLU(), new Linear(5, 3));
        refuses(() -> Quantization.load(model, file), "[4, 5] at '2'", "out_features=3");
    }

    @Test
    @DisplayName("reads into float models only, and writes converted ones only")
    void otherSteps() {
        Path file = directory.resolve("model.safetensors");
        Quantization.save(converted(), file);
        Sequential plain = model;
        model = converted();
        refuses(() -> Quantization.load(model, file), "converted already");
        model = plain.copy();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        refuses(() -> Quantization.load(model, file), "prepared already");
        model = plain;
        model.qconfig(QConfig.forBackend("x86"));
        GraphModule prepared = GraphQuantization.prepare(GraphModule.trace(model, x));
        refuses(
                () -> Quantization.save(prepared, file),
                "not converted yet",
                "call GraphQuantization.convert");
    }

    @Test
    @DisplayName("refuses a file of another version, of a model and of a graph")
    void otherVersion() {
        Path file = directory.resolve("model.safetensors");
        Quantization.save(converted(), file);
        ofVersion("2", file);
        refuses(() -> Quantization.load(model, file), "version 2", "reads version 1");
        Quantization.save(Quantization.quantize(model, x, List.of(x)), file);
        ofVersion("0", file);
        refuses(() -> Quantization.loadGraph(file), "version 0", "reads version 1");
    }

    private static void ofVersion(String version, Path file) {
        SafeTensors.Contents contents = SafeTensors.read(file);
        var metadata = new LinkedHashMap<>(contents.metadata());
        metadata.put("espalier.quantized.version", version);
        SafeTensors.write(file, contents.tensors(), metadata);
    }

    @Test
    @DisplayName("refuses a convolution that pads by more than any network does")
    void padding() {
        var convolution = new Sequential(new Conv2d(1, 1, 3, o -> o.padding(1)));
        convolution.eval();
        Tensor images = Tensors.ones(1, 1, 4, 4);
        Path file = directory.resolve("model.safetensors");
        Quantization.save(Quantization.quantize(convolution, images, List.of(images)), file);
        SafeTensors.Contents contents = SafeTensors.read(file);
        var metadata = new LinkedHashMap<>(contents.metadata());
        metadata.replaceAll(
                (name, text) -> text.replace("\"padding\":\"1,1\"", "\"padding\":\"1000000,1\""));
        assertNotEquals(contents.metadata(), metadata);
        SafeTensors.write(file, contents.tensors(), metadata);

        refuses(() -> Quantization.loadGraph(file), "padding", "1000000");
    }

    @Test
    @DisplayName("leaves the model as it was when its last entry does not fit")
    void wholeOrNot() {
        Path file = directory.resolve("model.safetensors");
        Sequential made = network();
        made.qconfig(QConfig.forBackend("onednn"));
        made.get(2).qconfig(null);
        Quantization.prepare(made);
        made.call(x);
        Quantization.convert(made);
        Quantization.save(made, file);
        model = new Sequential(new Linear(6, 5), new ReLU(), new Linear(5, 3));
        model.eval();
        var expected = model.call(x).detach().clone();
        refuses(() -> Quantization.load(model, file), "2.weight is Float [4, 5] for Float [3, 5]");
        assertTrue(Tensors.equal(expected, model.call(x)));
        assertTrue(Tensors.equal(made.call(x), Quantization.load(network(), file).call(x)));
    }

    @Test
    @DisplayName("with a huge tensor in the place of a small layer's is refused by its header")
    void headerFirst() throws IOException {
        Path file = directory.resolve("model.safetensors");
        Quantization.save(converted(), file);
        byte[] whole = Files.readAllBytes(file);
        int length = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getInt();
        String header =
                new String(whole, 8, length, StandardCharsets.UTF_8)
                        .replaceAll("\"espalier.crc32c\":\"[^ ]*?}\",", "")
                        .stripTrailing();
        long more = 6L << 30;
        header =
                header.substring(0, header.length() - 1)
                        + ",\"0.huge\":{\"dtype\":\"I8\",\"shape\":["
                        + more
                        + "],\"data_offsets\":["
                        + (whole.length - 8 - length)
                        + ","
                        + (whole.length - 8 - length + more)
                        + "]}}";
        byte[] bytes = header.getBytes(StandardCharsets.UTF_8);
        try (var out = new RandomAccessFile(file.toFile(), "rw")) {
            out.write(
                    ByteBuffer.allocate(8)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(bytes.length)
                            .array());
            out.write(bytes);
            out.write(whole, 8 + length, whole.length - 8 - length);
            out.setLength(8 + bytes.length + whole.length - 8 - length + more);
        }
        refuses(() -> Quantization.load(model, file), "[" + more + "] at '0.huge'");
        Files.delete(file);
    }

    @Test
    @DisplayName("gives one line for any damage of a quantized file")
    void damagedFiles() throws IOException {
        Path file = directory.resolve("model.safetensors");
        Quantization.save(converted(), file);
        byte[] whole = Files.readAllBytes(file);
        var random = new Random(5);
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            byte[] damaged =
                    i % 3 == 0 ? Arrays.copyOf(whole, random.nextInt(whole.length)) : whole.clone();
            for (int k = 0; i % 3 != 0 && k <= i % 5; k++) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            }
            Files.write(file, damaged);
            try {
                Quantization.load(network(), file).call(x);
            } catch (EspalierException e) {
                refused++;
                String message = String.valueOf(e.getMessage());
                assertEquals(1, message.lines().count(), message);
            }
        }
        assertTrue(refused > 100, "refused " + refused);
    }
}
