package io.espalier.state;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertSameTensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;

class StateFileTest {
    @TempDir Path folder;

    private Path file() {
        return folder.resolve("x.safetensors");
    }

    private static SequencedMap<String, Tensor> state() {
        SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
        tensors.put("0.weight", Tensors.randn(3, 4));
        tensors.put("0.bias", Tensors.randn(3));
        tensors.put("transposed", Tensors.randn(3, 4).t());
        tensors.put("mask", Tensors.of(new float[] {1, 0, 1}, 3).to(ScalarType.Bool));
        tensors.put("count", Tensors.zeros(ScalarType.Long));
        tensors.put("empty", Tensors.zeros(0, 2));
        return tensors;
    }

    private static final Map<String, String> METADATA =
            Map.of("format", "pt", "espalier.tree", "Sequential(\n)", "a", "b", "z", "y");

    @Test
    @DisplayName("what is written with checksums comes back, and its metadata without them")
    void roundTrip() {
        var state = state();
        StateFile.write(file(), state, METADATA);
        SafeTensors.Contents contents = SafeTensors.read(file());
        assertSameTensors(state, contents.tensors());
        assertEquals(METADATA, contents.metadata());
        try (var open = StateFile.open(file())) {
            assertTrue(open.hasChecksums());
            open.verify(state.keySet());
        }
    }

    @Test
    @DisplayName("a bit flipped in the data of any tensor is an error that names the tensor")
    void flippedData() throws IOException {
        StateFile.write(file(), state(), METADATA);
        byte[] whole = Files.readAllBytes(file());
        Map<String, SafeTensors.Entry> entries = SafeTensors.header(file()).entries();
        long start = whole.length - state().values().stream().mapToLong(Tensor::nbytes).sum();
        var random = new Random(3);
        entries.forEach((name, entry) -> {
            if (entry.begin() == entry.end() || entry.dtype().equals("BOOL")) {
                return;
            }
            int at = (int) (start + random.nextLong(entry.begin(), entry.end()));
            whole[at] ^= (byte) (1 << random.nextInt(8));
            write(whole);
            String reading = messageOf(() -> SafeTensors.read(file()));
            assertTrue(reading.contains("is damaged: the data of '" + name + "'"), reading);
            try (var open = StateFile.open(file())) {
                assertEquals(reading, messageOf(() -> open.verify(entries.keySet())));
            }
            StateFile.write(file(), state(), METADATA);
            System.arraycopy(read(), 0, whole, 0, whole.length);
        });
    }

    private byte[] read() {
        try {
            return Files.readAllBytes(file());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void write(byte[] bytes) {
        try {
            Files.write(file(), bytes);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** What fills the header up, and the name without which a file is one of others. */
    private static boolean saysNothing(byte[] file, int at) {
        int key = new String(file, StandardCharsets.ISO_8859_1).indexOf(Checksums.KEY);
        return file[at] == ' ' || (at >= key && at < key + Checksums.KEY.length());
    }

    @Test
    @DisplayName("no letter of the header can be changed unnoticed")
    void changedHeader() {
        StateFile.write(file(), state(), METADATA);
        byte[] whole = read();
        int header =
                (int) (whole.length - state().values().stream().mapToLong(Tensor::nbytes).sum());
        for (int at = 8; at < header; at++) {
            if (saysNothing(whole, at)) {
                continue;
            }
            byte[] damaged = whole.clone();
            damaged[at] ^= 1;
            write(damaged);
            int place = at;
            String message = messageOf(() -> SafeTensors.read(file()));
            assertTrue(message.startsWith(file().toString()), message + " at " + place);
        }
    }

    @Test
    @DisplayName("a file of others, without checksums, is read as it is")
    void foreign() {
        var state = state();
        SafeTensors.write(file(), state, Map.of("format", "pt"));
        try (var open = StateFile.open(file())) {
            assertFalse(open.hasChecksums());
        }
        assertSameTensors(state, SafeTensors.read(file()).tensors());
    }

    @Test
    @DisplayName("the same state gives the same bytes, in whatever order its metadata come")
    void sameBytes() {
        var state = state();
        StateFile.write(file(), state, METADATA);
        byte[] first = read();
        StateFile.write(file(), state, new TreeMap<>(METADATA).descendingMap());
        assertArrayEquals(first, read());
        String header = new String(first, StandardCharsets.UTF_8);
        int last = 0;
        for (String key : List.of("\"a\"", "\"espalier.crc32c\"", "\"espalier.tree\"", "\"z\"")) {
            assertTrue(header.indexOf(key) > last, key);
            last = header.indexOf(key);
        }
    }

    @ParameterizedTest
    @DisplayName("a file of another kind is named as what it is, with what to do")
    @CsvSource(
            delimiter = '|',
            value = {
                "504b0304140000000800000021000000000000000000000000001000000061726368697665"
                        + "2f646174612e706b6c|a PyTorch file|safetensors.torch.save_file",
                "504b03041400000008000000210000000000000000000000000005000000782e6e7079"
                        + "|a NumPy archive|io.espalier.data.Npz",
                "504b030414000000080000002100000000000000000000000000|a zip archive|unpack",
                "80028a0a6cfc9c46f9206aa850192e80024de903|a Python pickle|save_file",
                "8004951000000000000000|a Python pickle|save_file",
                "47475546030000000100000000000000|a GGUF file|save_file",
                "934e554d50590100760000007b|a NumPy array|io.espalier.data.Npy",
                "894844460d0a1a0a0000000000|an HDF5 file|save_file",
                "1c00000054464c3314002000|a TensorFlow Lite model|save_file",
                "080812077079746f7263681a05322e312e30|an ONNX model|save_file",
                "08083aef850a0a550a01780a01771201|an ONNX model|save_file",
                "08074202101528013a0f0a0d0a01780a|an ONNX model|save_file",
                "1f8b0800000000000003|compressed by gzip|unpack",
                "76657273696f6e2068747470733a2f2f6769742d6c66732e6769746875622e636f6d"
                        + "|a pointer of Git LFS|git lfs pull",
                "3c21444f43545950452068746d6c3e|a page of HTML|download",
                "7b226d65746164617461223a7b7d7d|JSON|name the file",
            })
    void otherKinds(String hex, String kind, String help) throws IOException {
        Files.write(file(), java.util.HexFormat.of().parseHex(hex));
        String message = messageOf(() -> SafeTensors.read(file()));
        assertTrue(
                message.startsWith(file() + " is not a safetensors file; it is " + kind), message);
        assertTrue(message.contains(help), message);
    }

    @Test
    @DisplayName("a folder, a pipe and a device are named as what they are")
    void noFile() throws IOException, InterruptedException {
        assertTrue(messageOf(() -> SafeTensors.read(folder)).contains("it is a folder"));
        Path device = Path.of("/dev/null");
        if (Files.exists(device)) {
            assertTrue(messageOf(() -> SafeTensors.read(device)).contains("a pipe or a device"));
            assertTrue(
                    messageOf(() -> SafeTensors.write(device, state(), Map.of()))
                            .contains("a pipe or a device"));
            assertFalse(Files.isRegularFile(device));
        }
    }

    @Test
    @DisplayName("a tensor is read straight into a row of memory, and copied into any other")
    void copies() {
        var state = state();
        StateFile.write(file(), state, Map.of());
        try (var open = StateFile.open(file())) {
            Tensor weight = Objects.requireNonNull(state.get("0.weight"));
            Tensor row = Tensors.zeros(3, 4);
            open.copyTo("0.weight", row);
            assertTrue(Tensors.equal(weight, row));
            Tensor column = Tensors.zeros(4, 3).t();
            open.copyTo("0.weight", column);
            assertTrue(Tensors.equal(weight, column));
            Tensor wide = Tensors.zeros(ScalarType.Double, 3, 4);
            open.copyTo("0.weight", wide);
            assertTrue(Tensors.equal(weight.to(ScalarType.Double), wide));
        }
    }

    @Test
    @DisplayName("damage of any kind is refused, and never read as something else")
    void damaged() {
        StateFile.write(file(), state(), METADATA);
        byte[] valid = read();
        var random = new Random(7);
        for (int round = 0; round < 300; round++) {
            byte[] bytes = valid.clone();
            int at = random.nextInt(bytes.length);
            bytes[at] ^= (byte) (1 + random.nextInt(255));
            if (saysNothing(valid, at)) {
                continue;
            }
            write(bytes);
            try {
                SafeTensors.read(file());
                throw new AssertionError("byte " + at + " was changed unnoticed");
            } catch (EspalierException e) {
                assertEquals(1, String.valueOf(e.getMessage()).lines().count());
            }
        }
    }

    @Test
    @DisplayName("a tensor that another thread changes meanwhile is not saved torn")
    void changedMeanwhile() throws Exception {
        Path file = folder.resolve("model.safetensors");
        Tensor x = Tensors.zeros(1 << 20);
        var stop = new AtomicBoolean();
        Thread changing =
                Thread.ofPlatform()
                        .start(() -> {
                            while (!stop.get()) {
                                x.add_(new Scalar(1));
                            }
                        });
        int saved = 0;
        int refused = 0;
        try {
            for (int i = 0; i < 20; i++) {
                try {
                    StateFile.write(file, Map.of("x", x), Map.of());
                    saved++;
                } catch (EspalierException e) {
                    assertTrue(
                            String.valueOf(e.getMessage()).contains("changed by another thread"));
                    refused++;
                }
                if (Files.exists(file)) {
                    SafeTensors.read(file);
                }
            }
        } finally {
            stop.set(true);
            changing.join();
        }
        assertEquals(20, saved + refused);
        StateFile.write(file, Map.of("x", x), Map.of());
        assertTrue(
                Tensors.equal(
                        x, Objects.requireNonNull(SafeTensors.read(file).tensors().get("x"))));
    }
}
