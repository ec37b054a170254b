package io.espalier.state;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
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
import java.util.zip.CRC32C;

/**
 * Reads and writes safetensors files: eight bytes for the header's length, a JSON header, and the
 * tensors' bytes one after another.
 *
 * <p>Everything a file says about itself is checked before memory is taken for it. Source: <a
 * href="https://huggingface.co/docs/safetensors">the format's description</a>.
 */
public final class SafeTensors {
    /** How much is copied before it is written. */
    private static final int PART = 1 << 20;

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
        try (var open = StateFile.open(file)) {
            SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
            open.header().entries().keySet().forEach(name -> tensors.put(name, open.tensor(name)));
            return new Contents(tensors, open.header().metadata());
        }
    }

    /**
     * Reads what a file says about its tensors, and none of their data.
     *
     * @throws EspalierException if the file can't be read or is not what the format asks
     */
    public static Header header(Path file) {
        try (var open = StateFile.open(file)) {
            return open.header();
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
        write(
                file,
                tensors,
                metadata,
                content -> AtomicFile.write(file, content),
                (name, sum) -> {});
    }

    /** Is told the CRC-32C of each tensor's data as they were written. */
    @FunctionalInterface
    interface Written {
        /** Refuses by throwing, and the file is as it was. */
        void sum(String name, long sum);
    }

    /** Hands the content of a file to what writes it. */
    static void write(
            Path file,
            Map<String, Tensor> tensors,
            Map<String, String> metadata,
            Consumer<AtomicFile.Writer> writer,
            Written written) {
        List<Map.Entry<String, Tensor>> inFile = alignedOrder(Needed.of(tensors, "the tensors"));
        byte[] header =
                SafeTensorsHeader.render(describe(tensors), Needed.of(metadata, "the metadata"));
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
                    ByteBuffer.allocate(StateFile.LENGTH_BYTES)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(header.length)
                            .flip();
            writeFully(channel, length);
            writeFully(channel, ByteBuffer.wrap(header));
            for (Map.Entry<String, Tensor> entry : inFile) {
                written.sum(entry.getKey(), writeData(channel, entry.getValue()));
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

    /** Each tensor's type, shape and place in the file, in the map's order. */
    static SequencedMap<String, Entry> describe(Map<String, Tensor> tensors) {
        List<Map.Entry<String, Tensor>> inFile = alignedOrder(Needed.of(tensors, "the tensors"));
        SequencedMap<String, Entry> entries = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> {
            SafeTensorsHeader.requireName(name);
            entries.put(name, new Entry("", List.of(), 0, 0));
        });
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

    static SafeTensorsType type(String name, Tensor tensor) {
        Tensors.requirePlain(name, tensor);
        try {
            return SafeTensorsType.of(Tensors.type(tensor));
        } catch (EspalierException e) {
            throw new EspalierException("'" + name + "': " + e.getMessage(), e);
        }
    }

    /** Copies a part before it is summed up and written: another thread may change the tensor. */
    private static long writeData(FileChannel channel, Tensor tensor) throws IOException {
        var sum = new CRC32C();
        ByteBuffer part = ByteBuffer.allocateDirect(PART);
        try (var scope = new PointerScope()) {
            MemorySegment data = Tensors.segment(tensor.detach().contiguous());
            for (long at = 0; at < data.byteSize(); at += PART) {
                int bytes = (int) Math.min(PART, data.byteSize() - at);
                part.clear().limit(bytes);
                MemorySegment.ofBuffer(part).copyFrom(data.asSlice(at, bytes));
                sum.update(part.duplicate());
                writeFully(channel, part);
            }
        }
        return sum.getValue();
    }

    static void writeFully(FileChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** Text from a file as one line that a terminal shows as it is: no control characters. */
    public static String printable(String text) {
        return Needed.of(text, "the text")
                .replaceAll("[\\p{Cntrl}\\u0080-\\u009f\\u2028\\u2029\\u202a-\\u202e]", " ");
    }
}
