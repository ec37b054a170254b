package io.espalier.state;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertSameTensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

import java.io.IOException;
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
import java.util.zip.CRC32C;

class CompressedFileTest {
    @TempDir Path folder;

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    private Path file() {
        return folder.resolve("x.small");
    }

    /** Normal numbers of which only a share is left. */
    private static Tensor sparse(double left, long... shape) {
        return Tensors.randn(shape).mul(Tensors.rand(shape).lt(new Scalar(left)));
    }

    private static SequencedMap<String, Tensor> state() {
        SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
        tensors.put("0.weight_orig", sparse(0.1, 30, 40));
        tensors.put("0.weight_mask", nonzero(tensors.get("0.weight_orig")));
        tensors.put("0.bias", Tensors.randn(30));
        tensors.put("transposed", sparse(0.3, 8, 16).t());
        tensors.put("few", Tensors.randn(20, 20).round());
        tensors.put("1.weight_codes", Tensors.rand(9, 7).mul(new Scalar(5)).to(ScalarType.Byte));
        tensors.put("1.weight", tensors.get("1.weight_codes").to(ScalarType.Float).exp());
        tensors.put("flags", Tensors.rand(50).gt(new Scalar(0.5)));
        tensors.put("count", Tensors.zeros(ScalarType.Long));
        tensors.put("empty", Tensors.zeros(0, 2));
        tensors.put("none", Tensors.zeros(40, 0, 3));
        return tensors;
    }

    private static Tensor nonzero(Tensor tensor) {
        return tensor.ne(new Scalar(0)).to(ScalarType.Float);
    }

    private void write(Map<String, Tensor> state) {
        CompressedWriter.write(file(), state, Map.of(), Map.of("a", "b"), () -> {});
    }

    private SequencedMap<String, Tensor> read() {
        try (var open = CompressedFile.open(file())) {
            open.verify(open.kinds().keySet());
            SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
            open.kinds().keySet().forEach(name -> tensors.put(name, open.tensor(name)));
            return tensors;
        }
    }

    private CompressedEntry entry(String name) {
        try (var open = CompressedFile.open(file())) {
            return open.entry(name);
        }
    }

    @Test
    @DisplayName("all kinds of tensors come back equal and in order, with the free text")
    void roundTrip() {
        var state = state();
        write(state);
        assertSameTensors(state, read());
        try (var open = TensorFile.open(file())) {
            assertEquals(Map.of("a", "b"), open.metadata());
        }
    }

    @Test
    @DisplayName("the same tensors give the same bytes")
    void repeats() throws IOException {
        var state = state();
        write(state);
        byte[] first = Files.readAllBytes(file());
        write(state);
        assertArrayEquals(first, Files.readAllBytes(file()));
    }

    @ParameterizedTest
    @EnumSource(SafeTensorsType.class)
    @DisplayName("every element type comes back, dense, sparse, and of few values")
    void types(SafeTensorsType type) {
        var state = new LinkedHashMap<String, Tensor>();
        Tensor numbers = Tensors.randn(16, 9).mul(new Scalar(1000));
        state.put("dense", numbers.to(type.type()));
        state.put("sparse", numbers.mul(Tensors.rand(16, 9).lt(new Scalar(0.2))).to(type.type()));
        state.put("few", Tensors.randn(16, 9).round().to(type.type()));
        write(state);
        assertSameTensors(state, read());
    }

    @Test
    @DisplayName("any matrix of a seed comes back, whatever its extents and sparsity")
    void seeds() {
        var random = new Random(5);
        var state = new LinkedHashMap<String, Tensor>();
        for (int i = 0; i < 60; i++) {
            long[] shape = {1 + random.nextInt(20), 1 + random.nextInt(70)};
            Tensor tensor = sparse(random.nextDouble(), shape);
            state.put("x" + i, random.nextBoolean() ? tensor : tensor.sign());
        }
        state.put("far", Tensors.zeros(3, 900));
        state.get("far").narrow(1, 899, 1).fill_(new Scalar(2));
        write(state);
        assertSameTensors(state, read());
    }

    @Test
    @DisplayName("NaN, infinities and denormal numbers keep their bits; -0 comes back as 0")
    void bits() {
        float[] special = {Float.NaN, Float.NEGATIVE_INFINITY, Float.MIN_VALUE, -0f, 0f, 1f};
        write(Map.of("x", Tensors.of(special)));
        float[] back = Tensors.floats(Objects.requireNonNull(read().get("x")));
        for (int i = 0; i < special.length; i++) {
            int wanted = Float.floatToRawIntBits(special[i] == 0 ? 0f : special[i]);
            assertEquals(wanted, Float.floatToRawIntBits(back[i]));
        }
    }

    @Test
    @DisplayName("a mask takes no bytes beside what it masks, a shared weight a table")
    void following() {
        write(state());
        assertEquals(CompressedEntry.Coding.NONZERO, entry("0.weight_mask").coding());
        assertEquals(0, entry("0.weight_mask").bytes());
        assertEquals(CompressedEntry.Coding.LOOKUP, entry("1.weight").coding());
        assertTrue(entry("1.weight").bytes() <= 5 * Float.BYTES);
    }

    @Test
    @DisplayName("a mask that keeps a zero is stored by itself")
    void keptZero() {
        var state = state();
        state.put("0.weight_mask", Tensors.ones(30, 40));
        write(state);
        assertSameTensors(state, read());
    }

    @Test
    @DisplayName("one value in a hundred, of sixteen, takes under fourteen bits")
    void small() throws IOException {
        Tensor weight = sparse(0.01, 500, 800).sign().mul(Tensors.rand(500, 800));
        weight = weight.mul(new Scalar(8)).ceil();
        double kept = weight.count_nonzero().item_long();
        write(Map.of("weight", weight));
        assertTrue(Files.size(file()) * 8 / kept < 14, () -> "bits for each");
    }

    @Test
    @DisplayName("zeros, however many, are written and read")
    void zeros() throws IOException {
        write(Map.of("zeros", Tensors.zeros(ScalarType.Double, 3000, 3000)));
        assertTrue(Files.size(file()) < 20_000);
        try (var open = CompressedFile.open(file());
                var scope = new PointerScope()) {
            assertEquals(0, open.tensor("zeros").count_nonzero().item_long());
        }
    }

    @Test
    @DisplayName("a reader of safetensors is told what it has been given")
    void foreign() throws IOException {
        write(state());
        assertTrue(messageOf(() -> SafeTensors.read(file())).contains("compressed file"));
        Files.write(
                file(), "no such file at all, but long enough".getBytes(StandardCharsets.UTF_8));
        assertTrue(messageOf(() -> CompressedFile.open(file())).contains("begins otherwise"));
        assertEquals(
                "Can't read " + folder.resolve("none") + ": no such file or folder.",
                messageOf(() -> CompressedFile.open(folder.resolve("none"))));
    }

    @Test
    @DisplayName("a file cut short anywhere is one clear error")
    void truncated() throws IOException {
        write(state());
        byte[] whole = Files.readAllBytes(file());
        for (int length = 0; length < whole.length; length += 17) {
            Files.write(file(), Arrays.copyOf(whole, length));
            assertTrue(messageOf(this::read).startsWith(file() + " is not a valid"));
        }
    }

    @Test
    @DisplayName("a bit flipped anywhere is one clear error")
    void flipped() throws IOException {
        write(state());
        byte[] whole = Files.readAllBytes(file());
        var random = new Random(7);
        for (int i = 0; i < 150; i++) {
            byte[] damaged = whole.clone();
            damaged[random.nextInt(whole.length)] ^= (byte) (1 << random.nextInt(8));
            Files.write(file(), damaged);
            assertTrue(messageOf(this::read).startsWith(file() + " is not a valid"));
        }
    }

    @Test
    @DisplayName("a thousand hostile files, whose checksums are right, are read or one clear error")
    void hostile() throws IOException {
        write(state());
        byte[] whole = Files.readAllBytes(file());
        var random = new Random(11);
        int refused = 0;
        for (int i = 0; i < 1000; i++) {
            Files.write(file(), mutated(whole, random));
            try (var scope = new PointerScope()) {
                read();
            } catch (EspalierException e) {
                assertTrue(
                        String.valueOf(e.getMessage()).startsWith(file() + " is not a valid"),
                        e.getMessage());
                refused++;
            }
        }
        assertTrue(refused > 500, refused + " of 1000 refused");
    }

    /** Some bytes of the header's text or of the data changed, and the checksums made to fit. */
    private static byte[] mutated(byte[] whole, Random random) {
        var start = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN);
        int stored = start.getInt(8);
        int begin = CompressedStart.BYTES;
        byte[] json =
                Zstandard.unpack(
                        Arrays.copyOfRange(whole, begin, begin + stored), start.getInt(12));
        byte[] data = Arrays.copyOfRange(whole, begin + stored, whole.length);
        for (int i = 0; i <= random.nextInt(3); i++) {
            if (random.nextBoolean()) {
                json[random.nextInt(json.length)] =
                        (byte) "0123456789,[]{}\":esx-".charAt(random.nextInt(21));
            } else {
                data[random.nextInt(data.length)] = (byte) random.nextInt();
            }
        }
        return assembled(json, data);
    }

    private static byte[] assembled(byte[] json, byte[] data) {
        byte[] header = Zstandard.pack(json);
        return ByteBuffer.allocate(CompressedStart.BYTES + header.length + data.length)
                .putLong(CompressedStart.MAGIC)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(header.length)
                .putInt(json.length)
                .putInt(sum(header))
                .putInt(sum(data))
                .put(header)
                .put(data)
                .array();
    }

    private static int sum(byte[] bytes) {
        var sum = new CRC32C();
        sum.update(bytes);
        return (int) sum.getValue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"streams\":[1,0,0,0]}"
                        + "|which no such file holds",
                "{\"dtype\":\"F32\",\"shape\":[65536,32768],\"streams\":[1,0,0,0]}"
                        + "|which no such file holds",
                "{\"dtype\":\"F32\",\"shape\":[30000,30000],\"streams\":[1,0,0,0]}"
                        + "|claims 3600000000 bytes",
                "{\"dtype\":\"F32\",\"shape\":[2,-3],\"streams\":[1,0,0,0]}|which no such file"
                        + " holds",
                "{\"dtype\":\"F32\",\"shape\":[9999999999999999999],\"streams\":[1]}|is no JSON",
                "{\"dtype\":\"F32\",\"shape\":[null],\"streams\":[1]}|is no JSON",
                "{\"dtype\":\"F32\",\"shape\":[2.5],\"streams\":[1]}|is no JSON",
                "{\"dtype\":\"F99\",\"shape\":[2],\"streams\":[1]}|has the type 'F99'",
                "{\"dtype\":\"F32\",\"shape\":[2],\"streams\":[1,2]}|has streams of [1, 2] bytes",
                "{\"dtype\":\"F32\",\"shape\":[2],\"layout\":\"rows\",\"stored\":3,\"streams\":[1]}"
                        + "|stores 3 of 2 elements",
                "{\"dtype\":\"F32\",\"shape\":[2],\"layout\":\"rows\",\"stored\":1,\"gaps\":1000000,\"streams\":[1]}|has"
                    + " 1000000 bytes of gaps",
                "{\"dtype\":\"F32\",\"shape\":[2],\"coding\":\"table\",\"table\":70000,"
                        + "\"streams\":[1]}|70000 values in its table",
                "{\"dtype\":\"F64\",\"shape\":[2],\"coding\":\"affine\",\"streams\":[1]}"
                        + "|which can't have scales",
                "{\"dtype\":\"F32\",\"shape\":[2],\"coding\":\"lookup\",\"of\":\"x\",\"stored\":0,"
                        + "\"table\":0,\"streams\":[0]}|can't follow from 'x'",
                "{\"dtype\":\"F32\",\"shape\":[2],\"coding\":\"nonzero\",\"of\":\"y\",\"stored\":0,"
                        + "\"streams\":[]}|can't follow from 'y'",
                "{\"dtype\":\"U8\",\"shape\":[9],\"streams\":[8]}|8 bytes, but 1 follow",
                "{\"dtype\":\"I8\",\"shape\":[9],\"streams\":[1]}|what is coded",
            })
    @DisplayName("what a header claims is checked before memory is taken for it")
    void claims(String entry, String reason) throws IOException {
        String json = "{\"tensors\":{\"x\":" + entry + "}}";
        Files.write(file(), assembled(json.getBytes(StandardCharsets.UTF_8), new byte[1]));
        String message = messageOf(this::read);
        assertTrue(message.startsWith(file() + " is not a valid compressed file"), message);
        assertTrue(message.contains(reason), message);
    }

    @Test
    @DisplayName("what decodes to more than the header says takes no more memory than that")
    void bomb() throws IOException {
        byte[] coded = Zstandard.pack(new byte[200_000]);
        String json =
                "{\"tensors\":{\"x\":{\"dtype\":\"U8\",\"shape\":[100],\"streams\":["
                        + coded.length
                        + "]}}}";
        assertTrue(coded.length < 100);
        Files.write(file(), assembled(json.getBytes(StandardCharsets.UTF_8), coded));
        assertTrue(messageOf(this::read).contains("what is coded can't be read"));
    }

    @Test
    @DisplayName(
            "a saved model is described with the bytes that it takes in the file and in memory")
    void described() throws IOException {
        write(state());
        SavedModel model = SavedModel.read(file());
        assertEquals(Files.size(file()), model.fileBytes());
        StoredTensor weight = model.tensors().getFirst();
        assertEquals("0.weight", weight.name());
        assertEquals(2 * 30 * 40 * Float.BYTES, weight.denseBytes());
        assertEquals(entry("0.weight_orig").bytes(), weight.bytes());
        long kept = Objects.requireNonNull(read().get("0.weight_mask")).sum().item_long();
        assertEquals(30 * 40 - kept, weight.zeros());
        assertEquals(List.of(9L, 7L), model.tensors().get(4).shape());
    }
}
