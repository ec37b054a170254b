package io.espalier.state;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertSameTensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.SequencedMap;
import java.util.stream.Stream;

class SafeTensorsTest {
    @TempDir Path folder;

    private Path file() {
        return folder.resolve("x.safetensors");
    }

    private Path file(String json, int dataBytes) throws IOException {
        byte[] header = json.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes =
                ByteBuffer.allocate(8 + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(header.length).put(header);
        return Files.write(file(), bytes.array());
    }

    private static SequencedMap<String, Tensor> oneOfEach() {
        SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
        for (ScalarType type :
                List.of(
                        ScalarType.Bool,
                        ScalarType.Byte,
                        ScalarType.Char,
                        ScalarType.Short,
                        ScalarType.Int,
                        ScalarType.Long,
                        ScalarType.Half,
                        ScalarType.BFloat16,
                        ScalarType.Float,
                        ScalarType.Double)) {
            tensors.put(type.name(), Tensors.of(new float[] {0, 1, 1, 0, 1, 0}, 2, 3).to(type));
        }
        tensors.put("scalar", Tensors.of(new float[] {3.5f}));
        tensors.put("0-d", Tensors.zeros(ScalarType.Long));
        tensors.put("empty", Tensors.zeros(2, 0, 3));
        tensors.put("transposed", Tensors.randn(3, 4).t());
        tensors.put("ü \"\\\n", Tensors.randn(1));
        return tensors;
    }

    @Test
    @DisplayName("every type, an empty and a 0-d tensor and odd names come back as they were")
    void roundTrip() {
        var tensors = oneOfEach();
        var metadata = new LinkedHashMap<>(Map.of("format", "pt", "words", "a\n\"b\" ü"));
        SafeTensors.write(file(), tensors, metadata);
        SafeTensors.Contents contents = SafeTensors.read(file());
        assertSameTensors(tensors, contents.tensors());
        assertEquals(metadata, contents.metadata());
    }

    @Test
    @DisplayName("a file that PyTorch wrote is read, and written again byte by byte")
    void pytorchsFile() throws IOException {
        Path original = folder.resolve("pytorch.safetensors");
        try (InputStream stream =
                Objects.requireNonNull(getClass().getResourceAsStream("/pytorch.safetensors"))) {
            Files.copy(stream, original);
        }
        SafeTensors.Contents contents = SafeTensors.read(original);
        Tensor weight = Objects.requireNonNull(contents.tensors().get("prune_train-000/in.weight"));
        assertArrayEquals(new long[] {10, 10}, Tensors.shape(weight));
        SafeTensors.write(file(), contents.tensors(), contents.metadata());
        assertArrayEquals(Files.readAllBytes(original), Files.readAllBytes(file()));
    }

    @Test
    @DisplayName("each tensor lies at a multiple of its element's size, in a file without gaps")
    void alignment() throws IOException {
        SafeTensors.write(file(), oneOfEach(), Map.of());
        ByteBuffer bytes =
                ByteBuffer.wrap(Files.readAllBytes(file())).order(ByteOrder.LITTLE_ENDIAN);
        assertEquals(0, bytes.getLong(0) % 8);
        SafeTensors.header(file())
                .entries()
                .forEach((name, entry) -> {
                    int size = SafeTensorsType.valueOf(entry.dtype()).bytes();
                    assertEquals(0, entry.begin() % size, name);
                });
    }

    @Test
    @DisplayName("writing replaces the file that is there and leaves no other behind")
    void replaces() throws IOException {
        SafeTensors.write(file(), Map.of("a", Tensors.ones(3)), Map.of());
        SafeTensors.write(file(), Map.of("b", Tensors.ones(2)), Map.of());
        assertEquals(List.of("b"), List.copyOf(SafeTensors.read(file()).tensors().keySet()));
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(List.of(file()), files.toList());
        }
    }

    @Test
    @DisplayName("a tensor that can't be stored leaves the file that was there")
    void quantizedIsRefused() {
        SafeTensors.write(file(), Map.of("a", Tensors.ones(3)), Map.of());
        Tensor quantized =
                org.bytedeco.pytorch.global.torch.quantize_per_tensor(
                        Tensors.ones(3), 0.1, 0, ScalarType.QUInt8);
        String message =
                messageOf(() -> SafeTensors.write(file(), Map.of("q", quantized), Map.of()));
        assertTrue(message.startsWith("'q': QUInt8 can't be stored"), message);
        assertEquals(List.of("a"), List.copyOf(SafeTensors.read(file()).tensors().keySet()));
    }

    @ParameterizedTest
    @DisplayName("a wrong header is one error that names the file and the fault")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "[]|0|does not start with '{'",
                "{|0|not valid JSON",
                "{}x|0|not valid JSON",
                "{} {}|0|something follows",
                "{\"a\":1}|0|tensor 'a' must be a JSON object",
                "{\"a\":{}}|0|lacks one of them",
                "{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}|4|type 'F31'",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}|4|key"
                        + " 'x'",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}|4|negative"
                        + " number",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}|4|whole"
                        + " numbers",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}|8|takes 4 bytes",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}|8|takes 4 bytes",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}|8|lacks one of"
                        + " them",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}|8|begins at byte"
                        + " 4",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}|5|5 follow",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}|3|3 follow",
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}|3|begins"
                    + " at byte 1",
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}|2|uplicate",
                "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}|1|uplicate",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}|0|larger"
                    + " than any memory",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,0]}}|0|not"
                    + " valid JSON",
                "{\"__metadata__\":{\"a\":1}}|0|must be a string",
                "{\"__metadata__\":[]}|0|must be a JSON object",
            })
    void wrongHeader(String json, int dataBytes, String fault) throws IOException {
        Path file = file(json, dataBytes);
        String message = messageOf(() -> SafeTensors.read(file));
        assertTrue(message.startsWith(file + " is not a valid safetensors file: "), message);
        assertTrue(message.contains(fault), message);
        assertEquals(message, messageOf(() -> SafeTensors.header(file)));
    }

    @Test
    @DisplayName("a header nested ten thousand deep is an error, not an overflow")
    void deepNesting() throws IOException {
        Path file = file("{\"a\":" + "[".repeat(10_000), 0);
        assertTrue(messageOf(() -> SafeTensors.read(file)).contains("must be a JSON object"));
        Path shape = file("{\"a\":{\"shape\":" + "[".repeat(10_000), 0);
        assertTrue(messageOf(() -> SafeTensors.read(shape)).contains("whole numbers"));
    }

    @Test
    @DisplayName("a length that is too large for the file, or for any header, is an error")
    void wrongLength() throws IOException {
        for (long length : new long[] {3, 100_000_000, 100_000_001, Long.MAX_VALUE, -1}) {
            ByteBuffer bytes = ByteBuffer.allocate(10).order(ByteOrder.LITTLE_ENDIAN);
            bytes.putLong(length).put((byte) '{').put((byte) '}');
            Files.write(file(), bytes.array());
            String message = messageOf(() -> SafeTensors.read(file()));
            assertTrue(message.contains("its header claims "), message);
        }
        Files.write(file(), new byte[7]);
        assertTrue(messageOf(() -> SafeTensors.read(file())).contains("7 bytes, too few"));
    }

    @Test
    @DisplayName("a boolean that is neither 0 nor 1 is an error")
    void wrongBoolean() throws IOException {
        Path file = file("{\"a\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]}} ", 1);
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] = 2;
        Files.write(file, bytes);
        assertTrue(messageOf(() -> SafeTensors.read(file)).contains("other than 0 and 1"));
    }

    @Test
    @DisplayName("a file that is not there, and a folder that is not there, are named")
    void missingFile() {
        assertEquals(
                "Can't read " + file() + ": no such file or folder.",
                messageOf(() -> SafeTensors.read(file())));
        Path nowhere = folder.resolve("no/where.safetensors");
        assertEquals(
                "Can't write " + nowhere + ": no such file or folder.",
                messageOf(() -> SafeTensors.write(nowhere, Map.of(), Map.of())));
    }

    @Test
    @DisplayName("a damaged file is read or refused, whatever bytes are changed or cut off")
    void damaged() throws IOException {
        SafeTensors.write(file(), oneOfEach(), Map.of("format", "pt"));
        byte[] valid = Files.readAllBytes(file());
        Random random = new Random(7);
        int refused = 0;
        for (int round = 0; round < 1500; round++) {
            byte[] bytes = valid.clone();
            if (round % 3 == 0) {
                bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
            } else {
                for (int change = 0; change <= round % 4; change++) {
                    bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
                }
            }
            Files.write(file(), bytes);
            try {
                SafeTensors.read(file());
            } catch (EspalierException e) {
                refused++;
            }
        }
        assertTrue(refused > 500, refused + " were refused");
    }

    @Test
    @DisplayName("what could not be read again is not written")
    void unreadable() {
        for (String name : List.of("__metadata__", "a\ud800b")) {
            String message =
                    messageOf(() ->
                            SafeTensors.write(file(), Map.of(name, Tensors.ones(2)), Map.of()));
            assertTrue(message.startsWith("No tensor of a file can be called '"), message);
        }
        assertTrue(
                messageOf(() -> SafeTensors.write(file(), Map.of("x", sparse()), Map.of()))
                        .startsWith("'x' is a sparse tensor"));
        assertFalse(Files.exists(file()));
    }

    private static Tensor sparse() {
        return Tensors.ones(2, 2).to_sparse();
    }
}
