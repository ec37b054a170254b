package io.espalier.state;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Consumer;

/**
 * Reads and writes safetensors files: eight bytes for the header's length, a JSON header, and the
 * tensors' bytes one after another.
 *
 * <p>Everything a file says about itself is checked before memory is taken for it. Source: <a
 * href="https://huggingface.co/docs/safetensors">the format's description</a>.
 */
public final class SafeTensors {
    private static final int LENGTH_BYTES = 8;

    /** One buffer of a write; a byte buffer can't hold more than 2 GiB. */
    private static final long CHUNK = 1L << 30;

    private SafeTensors() {}

    /**
     * What a file holds.
     *
     * @param tensors the tensors by name, in the header's order
     * @param metadata free text by name
     */
    public record Contents(
            SequencedMap<String, Tensor> tensors, SequencedMap<String, String> metadata) {}

    /**
     * What a file says about its tensors.
     *
     * @param entries each tensor's type, shape and place by name, in the header's order
     * @param metadata free text by name
     */
    public record Header(
            SequencedMap<String, Entry> entries, SequencedMap<String, String> metadata) {}

    /**
     * One tensor's description.
     *
     * @param dtype the format's name of the element type, such as {@code F32}
     * @param shape the size of each dimension
     * @param begin the first byte, counted from the end of the header
     * @param end the byte after the last
     */
    public record Entry(String dtype, List<Long> shape, long begin, long end) {}

    /**
     * Reads all tensors of a file into memory of their own.
     *
     * @throws EspalierException if the file can't be read or is not what the format asks
     */
    public static Contents read(Path file) {
        try (FileChannel channel = FileChannel.open(file);
                Arena arena = Arena.ofConfined()) {
            long size = channel.size();
            byte[] json = headerBytes(file, channel, size);
            long start = (long) LENGTH_BYTES + json.length;
            Header header = parse(file, json, size - start);
            MemorySegment data =
                    size == start
                            ? MemorySegment.NULL
                            : channel.map(
                                    FileChannel.MapMode.READ_ONLY, start, size - start, arena);
            SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
            header.entries()
                    .forEach((name, entry) -> tensors.put(name, tensor(file, name, entry, data)));
            return new Contents(tensors, header.metadata());
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    /**
     * Reads what a file says about its tensors, and none of their data.
     *
     * @throws EspalierException if the file can't be read or is not what the format asks
     */
    public static Header header(Path file) {
        try (FileChannel channel = FileChannel.open(file)) {
            long size = channel.size();
            byte[] json = headerBytes(file, channel, size);
            return parse(file, json, size - LENGTH_BYTES - json.length);
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    private static byte[] headerBytes(Path file, FileChannel channel, long size)
            throws IOException {
        if (size < LENGTH_BYTES) {
            throw invalid(file, "it has " + size + " bytes, too few for a header");
        }
        ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        readFully(file, channel, length, 0);
        long bytes = length.getLong(0);
        if (bytes < 0 || bytes > SafeTensorsHeader.MAX_BYTES) {
            throw invalid(
                    file,
                    "its header claims "
                            + Long.toUnsignedString(bytes)
                            + " bytes, more than the format's limit of "
                            + SafeTensorsHeader.MAX_BYTES);
        }
        if (bytes > size - LENGTH_BYTES) {
            throw invalid(
                    file,
                    "its header claims "
                            + bytes
                            + " bytes, but only "
                            + (size - LENGTH_BYTES)
                            + " follow; it may be cut off");
        }
        ByteBuffer header = ByteBuffer.allocate(Math.toIntExact(bytes));
        readFully(file, channel, header, LENGTH_BYTES);
        return header.array();
    }

    private static void readFully(Path file, FileChannel channel, ByteBuffer buffer, long at)
            throws IOException {
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, at + buffer.position()) < 0) {
                throw invalid(file, "it became shorter while it was read");
            }
        }
    }

    private static Header parse(Path file, byte[] json, long dataBytes) {
        try {
            return SafeTensorsHeader.parse(json, dataBytes);
        } catch (EspalierException e) {
            throw invalid(file, e.getMessage() == null ? "" : e.getMessage());
        }
    }

    private static Tensor tensor(Path file, String name, Entry entry, MemorySegment data) {
        SafeTensorsType type = SafeTensorsType.valueOf(entry.dtype());
        Tensor tensor = Tensors.empty(type.type(), SafeTensorsHeader.sizes(entry.shape()));
        long bytes = entry.end() - entry.begin();
        if (bytes > 0) {
            MemorySegment source = data.asSlice(entry.begin(), bytes);
            if (type == SafeTensorsType.BOOL) {
                requireBooleans(file, name, source);
            }
            Tensors.segment(tensor).copyFrom(source);
        }
        return tensor;
    }

    /** Any other byte than 0 and 1 in a boolean tensor makes libtorch's operators disagree. */
    private static void requireBooleans(Path file, String name, MemorySegment source) {
        for (long i = 0; i < source.byteSize(); i++) {
            if ((source.get(ValueLayout.JAVA_BYTE, i) & ~1) != 0) {
                throw invalid(
                        file,
                        "tensor '"
                                + printable(name)
                                + "' is BOOL and holds a byte other than 0 and 1");
            }
        }
    }

    /**
     * Writes tensors and free text. The file is written beside its place under another name, put on
     * disk and then moved: whoever reads sees the file that was there before or the whole new one.
     *
     * @param tensors the tensors by name; the file keeps the map's order
     * @throws EspalierException if a tensor's type can't be stored or the file can't be written
     */
    public static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
        write(file, tensors, metadata, content -> AtomicFile.write(file, content));
    }

    /** Hands the content of a file to what writes it. */
    static void write(
            Path file,
            Map<String, Tensor> tensors,
            Map<String, String> metadata,
            Consumer<AtomicFile.Writer> writer) {
        List<Map.Entry<String, Tensor>> inFile = alignedOrder(tensors);
        byte[] header = SafeTensorsHeader.render(describe(tensors, inFile), metadata);
        if (header.length > SafeTensorsHeader.MAX_BYTES) {
            throw new EspalierException(
                    "Can't write "
                            + file
                            + ": its header would have "
                            + header.length
                            + " bytes; the format's limit is "
                            + SafeTensorsHeader.MAX_BYTES
                            + ".");
        }
        writer.accept(channel -> {
            ByteBuffer length =
                    ByteBuffer.allocate(LENGTH_BYTES)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(header.length)
                            .flip();
            writeFully(channel, length);
            writeFully(channel, ByteBuffer.wrap(header));
            for (Map.Entry<String, Tensor> entry : inFile) {
                writeData(channel, entry.getValue());
            }
        });
    }

    /**
     * Larger elements first: PyTorch's reader needs each tensor at a multiple of its element's
     * size.
     */
    private static List<Map.Entry<String, Tensor>> alignedOrder(Map<String, Tensor> tensors) {
        return tensors.entrySet().stream()
                .sorted(
                        Comparator.comparingInt((Map.Entry<String, Tensor> e) ->
                                -type(e.getKey(), e.getValue()).bytes()))
                .toList();
    }

    private static SequencedMap<String, Entry> describe(
            Map<String, Tensor> tensors, List<Map.Entry<String, Tensor>> inFile) {
        SequencedMap<String, Entry> entries = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> entries.put(name, new Entry("", List.of(), 0, 0)));
        long at = 0;
        for (Map.Entry<String, Tensor> entry : inFile) {
            Tensor tensor = entry.getValue();
            SafeTensorsType type = type(entry.getKey(), tensor);
            long end = at + tensor.numel() * type.bytes();
            entries.put(
                    entry.getKey(),
                    new Entry(
                            type.name(),
                            Arrays.stream(Tensors.shape(tensor)).boxed().toList(),
                            at,
                            end));
            at = end;
        }
        return entries;
    }

    private static SafeTensorsType type(String name, Tensor tensor) {
        try {
            return SafeTensorsType.of(Tensors.type(tensor));
        } catch (EspalierException e) {
            throw new EspalierException("'" + name + "': " + e.getMessage(), e);
        }
    }

    private static void writeData(FileChannel channel, Tensor tensor) throws IOException {
        try (var scope = new PointerScope()) {
            MemorySegment data = Tensors.segment(tensor.detach().contiguous());
            for (long at = 0; at < data.byteSize(); at += CHUNK) {
                long bytes = Math.min(CHUNK, data.byteSize() - at);
                writeFully(channel, data.asSlice(at, bytes).asByteBuffer());
            }
        }
    }

    private static void writeFully(FileChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** Text from a file as one line that a terminal shows as it is: no control characters. */
    public static String printable(String text) {
        return text.replaceAll("[\\p{Cntrl}\\u0080-\\u009f\\u2028\\u2029\\u202a-\\u202e]", " ");
    }

    private static EspalierException invalid(Path file, String reason) {
        return new EspalierException(file + " is not a valid safetensors file: " + reason + ".");
    }

    private static EspalierException unreadable(Path file, IOException e) {
        return new EspalierException("Can't read " + file + ": " + AtomicFile.reason(e) + ".", e);
    }
}
