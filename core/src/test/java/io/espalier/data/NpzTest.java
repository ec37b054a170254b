package io.espalier.data;

import static io.espalier.Errors.messageOf;

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
import org.junit.jupiter.params.provider.ValueSource;

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
import java.util.stream.IntStream;

class NpzTest {
    @TempDir Path directory;

    /** A file that NumPy wrote. */
    private Path byNumPy(String name) throws IOException {
        Path file = directory.resolve(name);
        try (InputStream in = Objects.requireNonNull(NpzTest.class.getResourceAsStream(name))) {
            Files.copy(in, file);
        }
        return file;
    }

    private Path npy(String header, byte[] data) throws IOException {
        ByteBuffer out =
                ByteBuffer.allocate(10 + header.length() + data.length)
                        .order(ByteOrder.LITTLE_ENDIAN);
        out.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
        out.putShort((short) header.length());
        out.put(header.getBytes(StandardCharsets.US_ASCII)).put(data);
        return Files.write(directory.resolve("a.npy"), out.array());
    }

    private String error(Path file) {
        String message = messageOf(() -> Npy.read(file));
        assertTrue(message.startsWith(file + " "), message);
        return message.substring(file.toString().length() + 1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"stored.npz", "compressed.npz"})
    @DisplayName("reads every element type, order and shape that NumPy wrote")
    void readsNumPy(String name) throws IOException {
        Map<String, Tensor> arrays = Npz.read(byNumPy(name));
        assertEquals(
                List.of(
                        "f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "b1", "fortran", "scalar",
                        "one", "empty"),
                List.copyOf(arrays.keySet()));
        float[] quarters = {0, 0.25f, 0.5f, 0.75f, 1, 1.25f};
        for (String real : List.of("f4", "f8", "f2")) {
            assertArrayEquals(quarters, Tensors.floats(get(arrays, real)), real);
        }
        for (String signed : List.of("i8", "i4", "i2", "i1")) {
            assertArrayEquals(
                    new long[] {-3, -2, -1, 0, 1, 2}, Tensors.longs(get(arrays, signed)), signed);
            assertArrayEquals(new long[] {2, 3}, Tensors.shape(get(arrays, signed)), signed);
        }
        assertEquals(ScalarType.Short, Tensors.type(get(arrays, "i2")));
        assertArrayEquals(
                new long[] {250, 251, 252, 253, 254, 255}, Tensors.longs(get(arrays, "u1")));
        assertEquals(ScalarType.Bool, Tensors.type(get(arrays, "b1")));
        assertArrayEquals(new long[] {1, 0, 1, 0, 1, 0}, Tensors.longs(get(arrays, "b1")));
        assertArrayEquals(new long[] {2, 3, 4}, Tensors.shape(get(arrays, "fortran")));
        assertArrayEquals(
                IntStream.range(0, 24).asLongStream().toArray(),
                Tensors.longs(get(arrays, "fortran")));
        assertArrayEquals(new long[0], Tensors.shape(get(arrays, "scalar")));
        assertEquals(7, get(arrays, "scalar").item_long());
        assertArrayEquals(new long[] {0, 3}, Tensors.shape(get(arrays, "empty")));
    }

    private static Tensor get(Map<String, Tensor> arrays, String name) {
        return Objects.requireNonNull(arrays.get(name));
    }

    @Test
    @DisplayName("what is written is byte for byte what NumPy writes")
    void writesAsNumPy() throws IOException {
        Map<String, Tensor> arrays = Npz.read(byNumPy("stored.npz"));
        Path npy = directory.resolve("i8.npy");
        Npy.write(npy, get(arrays, "one"));
        byte[] expected = new byte[128 + 16];
        Arrays.fill(expected, (byte) ' ');
        byte[] text =
                "?NUMPY??v?{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }"
                        .getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(text, 0, expected, 0, text.length);
        ByteBuffer.wrap(expected)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(0, (byte) 0x93)
                .put(6, (byte) 1)
                .put(7, (byte) 0)
                .putShort(8, (short) 118)
                .put(127, (byte) '\n')
                .putLong(128, 1)
                .putLong(136, 2);
        assertArrayEquals(expected, Files.readAllBytes(npy));
    }

    @Test
    @DisplayName("what was written is read again, whatever its layout in memory")
    void roundTrip() {
        Path file = directory.resolve("x.npz");
        Map<String, Tensor> arrays = new LinkedHashMap<>();
        arrays.put("large", Tensors.randn(100, 700));
        arrays.put("turned", Tensors.randn(3, 5).t());
        arrays.put("flags", Tensors.randn(9).gt(Tensors.zeros(1)));
        arrays.put("none", Tensors.zeros(2, 0));
        Npz.write(file, arrays);
        Map<String, Tensor> read = Npz.read(file);
        assertEquals(arrays.keySet(), read.keySet());
        arrays.forEach((name, tensor) -> assertTrue(Tensors.equal(tensor, get(read, name)), name));
    }

    @Test
    @DisplayName("headers that ask for the wrong thing, too much or nonsense are named")
    void wrongHeaders() throws IOException {
        byte[] none = {};
        assertEquals(
                "claims the shape [1000000, 1000000], which takes 4000000000000 bytes;"
                        + " there are 0.",
                error(
                        npy(
                                "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,"
                                        + " 1000000)}",
                                none)));
        String huge = "9000000000000000000";
        assertEquals(
                "claims the impossible shape [" + huge + ", " + huge + "].",
                error(
                        npy(
                                "{'descr': '<f4', 'fortran_order': False, 'shape': (%s, %s)}"
                                        .formatted(huge, huge),
                                none)));
        assertEquals(
                "claims the impossible shape (" + huge + "0).",
                error(
                        npy(
                                "{'descr': '<f4', 'fortran_order': False, 'shape': ("
                                        + huge
                                        + "0)}",
                                none)));
        assertEquals(
                "claims the shape (-64, 16), with a size below 0.",
                error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-64, 16)}", none)));
        assertEquals("has a header without order or shape.", error(npy("{'descr': '<f4'}", none)));
        assertEquals(
                "claims the shape [2], which takes 8 bytes; there are 9.",
                error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", new byte[9])));
        assertEquals(
                "holds booleans other than 0 and 1.",
                error(
                        npy(
                                "{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}",
                                new byte[] {2})));
        assertEquals(
                "is not NumPy's .npy format.",
                error(Files.writeString(directory.resolve("b.npy"), "hello")));
        assertTrue(
                error(byNumPy("big-endian.npy")).startsWith("has elements of type >f4; read are "));
        assertTrue(
                error(byNumPy("fields.npy"))
                        .startsWith("has elements of type of several fields; read are "));
    }

    @Test
    @DisplayName("no damage of an archive is read as an array or ends in anything but one error")
    void damage() throws IOException {
        byte[] good = Files.readAllBytes(byNumPy("compressed.npz"));
        Map<String, Tensor> whole = Npz.read(directory.resolve("compressed.npz"));
        Path file = directory.resolve("damaged.npz");
        Random random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            byte[] bytes = good.clone();
            bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
            Files.write(file, bytes);
            try {
                Map<String, Tensor> read = Npz.read(file);
                // What a flipped bit did not touch (dates, names' copies) still reads the same.
                read.forEach((name, tensor) -> {
                    if (whole.containsKey(name)) {
                        assertTrue(Tensors.equal(get(whole, name), tensor), name);
                    }
                });
            } catch (EspalierException e) {
                refused++;
            }
        }
        assertTrue(refused > 100, "refused: " + refused);
        Files.write(file, Arrays.copyOf(good, good.length / 2));
        assertTrue(
                messageOf(() -> Npz.read(file))
                        .startsWith(file + " is not an .npz file, or is damaged: "));
    }

    @Test
    @DisplayName("a file that can't be read or written is named, and what was there stays")
    void files() throws IOException {
        Path missing = directory.resolve("missing.npz");
        assertEquals(
                "Can't read " + missing + ": no such file or folder.",
                messageOf(() -> Npz.read(missing)));
        Path nowhere = directory.resolve("no").resolve("x.npz");
        assertEquals(
                "Can't write " + nowhere + ": no such file or folder.",
                messageOf(() -> Npz.write(nowhere, Map.of("x", Tensors.ones(1)))));
        Tensor complex = Tensors.ones(1).to(ScalarType.ComplexFloat);
        assertEquals(
                "Array 'x' has elements of type ComplexFloat, which NumPy's format lacks; convert"
                        + " it first.",
                messageOf(() -> Npz.write(missing, Map.of("x", complex))));
        assertFalse(Files.exists(missing));
    }
}
