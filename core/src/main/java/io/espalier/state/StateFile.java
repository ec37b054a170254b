package io.espalier.state;

import io.espalier.state.SafeTensors.Entry;
import io.espalier.state.SafeTensors.Header;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.zip.CRC32C;

/**
 * An open safetensors file: its header is read and checked, its tensors are read one at a time,
 * straight into their place. Files that {@link #write} wrote carry checksums, which are compared
 * when they are read.
 */
@Internal
public final class StateFile implements TensorFile {
    static final int LENGTH_BYTES = 8;

    /** How much of a tensor is looked at at once where it is not kept. */
    private static final int WINDOW = 1 << 20;

    private static final long CHUNK = 1L << 30;

    private final Path file;
    private final FileChannel channel;
    private final Header header;
    private final Checksums checksums;
    private final long dataStart;

    private StateFile(
            Path file, FileChannel channel, Header header, Checksums checksums, long dataStart) {
        this.file = file;
        this.channel = channel;
        this.header = header;
        this.checksums = checksums;
        this.dataStart = dataStart;
    }

    /**
     * Opens a file and reads its header; no memory is taken for what it only claims.
     *
     * @throws EspalierException if it can't be read, is something else, or its header is damaged
     */
    public static StateFile open(Path file) {
        if (Needed.of(file, "the file to read").toString().isEmpty()) {
            throw new EspalierException("Can't read a file: its path is empty; name a file.");
        }
        if (Files.isDirectory(file)) {
            throw new EspalierException("Can't read " + file + ": it is a folder; name a file.");
        }
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new EspalierException(
                    "Can't read " + file + ": it is a pipe or a device; name a file.");
        }
        FileChannel channel;
        try {
            channel = FileChannel.open(file);
        } catch (IOException e) {
            throw TensorFile.unreadable(file, e);
        }
        try {
            return open(file, channel);
        } catch (IOException | RuntimeException e) {
            try (channel) {
                throw e instanceof EspalierException known
                        ? described(file, channel, known)
                        : e instanceof IOException io
                                ? TensorFile.unreadable(file, io)
                                : (RuntimeException) e;
            } catch (IOException closing) {
                throw TensorFile.unreadable(file, closing);
            }
        }
    }

    private static StateFile open(Path file, FileChannel channel) throws IOException {
        long size = channel.size();
        byte[] json = headerBytes(channel, size);
        long start = (long) LENGTH_BYTES + json.length;
        Header header = SafeTensorsHeader.parse(json, size - start);
        Checksums checksums = Checksums.takeFrom(header.metadata(), header.entries());
        return new StateFile(file, channel, header, checksums, start);
    }

    /** The fault, or what the file is in truth. */
    private static EspalierException described(
            Path file, FileChannel channel, EspalierException fault) {
        return FileKind.of(channel)
                .map(kind ->
                        new EspalierException(
                                file + " is not a safetensors file; it is " + kind + ".", fault))
                .orElseGet(() -> invalid(file, fault));
    }

    private static byte[] headerBytes(FileChannel channel, long size) throws IOException {
        if (size < LENGTH_BYTES) {
            throw new EspalierException("it has " + size + " bytes, too few for a header");
        }
        ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        readFully(channel, length, 0);
        long bytes = length.getLong(0);
        if (bytes < 0 || bytes > SafeTensorsHeader.MAX_BYTES) {
            throw new EspalierException(
                    "its header claims "
                            + Long.toUnsignedString(bytes)
                            + " bytes, more than the format's limit of "
                            + SafeTensorsHeader.MAX_BYTES);
        }
        if (bytes > size - LENGTH_BYTES) {
            throw new EspalierException(
                    "its header claims "
                            + bytes
                            + " bytes, but only "
                            + (size - LENGTH_BYTES)
                            + " follow; it may be cut off");
        }
        ByteBuffer header = ByteBuffer.allocate(Math.toIntExact(bytes));
        readFully(channel, header, LENGTH_BYTES);
        return header.array();
    }

    private static void readFully(FileChannel channel, ByteBuffer buffer, long at)
            throws IOException {
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, at + buffer.position()) < 0) {
                throw new EspalierException("it became shorter while it was read");
            }
        }
    }

    /** What the file says about its tensors. */
    public Header header() {
        return header;
    }

    @Override
    public SequencedMap<String, String> metadata() {
        return header.metadata();
    }

    @Override
    public long storedBytes(String name) {
        return entry(name).end() - entry(name).begin();
    }

    /** Whether the file carries checksums, as those that {@link #write} wrote do. */
    public boolean hasChecksums() {
        return checksums.areThere();
    }

    @Override
    public SequencedMap<String, Kind> kinds() {
        SequencedMap<String, Kind> kinds = new LinkedHashMap<>();
        header.entries()
                .forEach((name, entry) ->
                        kinds.put(
                                name,
                                new Kind(
                                        SafeTensorsType.valueOf(entry.dtype()).type(),
                                        entry.shape())));
        return kinds;
    }

    @Override
    public void verify(Collection<String> names) {
        ByteBuffer window = ByteBuffer.allocateDirect(WINDOW);
        for (String name : names) {
            Entry entry = entry(name);
            var sum = new CRC32C();
            try {
                for (long at = entry.begin(); at < entry.end(); at += WINDOW) {
                    window.clear().limit((int) Math.min(WINDOW, entry.end() - at));
                    readFully(channel, window, dataStart + at);
                    window.flip();
                    SafeTensorsType.valueOf(entry.dtype())
                            .requireElements(name, MemorySegment.ofBuffer(window));
                    sum.update(window);
                }
            } catch (IOException e) {
                throw TensorFile.unreadable(file, e);
            } catch (EspalierException e) {
                throw invalid(file, e);
            }
            requireSame(name, sum.getValue());
        }
    }

    @Override
    public Tensor tensor(String name) {
        Entry entry = entry(name);
        SafeTensorsType type = SafeTensorsType.valueOf(entry.dtype());
        Tensor tensor = Tensors.empty(type.type(), SafeTensorsHeader.sizes(entry.shape()));
        MemorySegment data = Tensors.segment(tensor);
        read(entry, data);
        try {
            type.requireElements(name, data);
        } catch (EspalierException e) {
            throw invalid(file, e);
        }
        requireSame(name, Checksums.of(data));
        return tensor;
    }

    /**
     * {@inheritDoc}
     *
     * <p>Where the target is of the file's type and its elements lie in a row, they are read
     * straight into its memory.
     */
    @Override
    public void copyTo(String name, Tensor target) {
        Entry entry = entry(name);
        boolean straight =
                SafeTensorsType.valueOf(entry.dtype()).type() == Tensors.type(target)
                        && target.is_contiguous();
        if (straight) {
            read(entry, Tensors.segment(target));
        } else {
            try (var scope = new PointerScope()) {
                target.copy_(tensor(name));
            }
        }
    }

    private Entry entry(String name) {
        Entry entry = header.entries().get(name);
        if (entry == null) {
            throw new EspalierException(
                    file + " has no tensor '" + SafeTensors.printable(name) + "'.");
        }
        return entry;
    }

    private void read(Entry entry, MemorySegment into) {
        try {
            for (long at = 0; at < into.byteSize(); at += CHUNK) {
                ByteBuffer part =
                        into.asSlice(at, Math.min(CHUNK, into.byteSize() - at)).asByteBuffer();
                readFully(channel, part, dataStart + entry.begin() + at);
            }
        } catch (IOException e) {
            throw TensorFile.unreadable(file, e);
        } catch (EspalierException e) {
            throw invalid(file, e);
        }
    }

    private void requireSame(String name, long sum) {
        if (!checksums.fits(name, sum)) {
            throw new EspalierException(
                    file
                            + " is damaged: the data of '"
                            + SafeTensors.printable(name)
                            + "' are not those that were saved, as their checksum shows; use"
                            + " another copy.");
        }
    }

    /**
     * Writes tensors and free text with checksums of both, as {@link SafeTensors#write} does: the
     * same state gives the same bytes.
     *
     * @param tensors the tensors by name; the file keeps the map's order
     * @param metadata free text by name, which is written in the names' order
     * @throws EspalierException if a tensor's type can't be stored or the file can't be written
     */
    public static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
        SequencedMap<String, Entry> entries = SafeTensors.describe(tensors);
        Map<String, Long> sums = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> {
            try (var scope = new PointerScope()) {
                sums.put(name, Checksums.of(Tensors.segment(tensor.detach().contiguous())));
            }
        });
        SafeTensors.write(
                file,
                tensors,
                Checksums.addTo(metadata, entries, sums),
                content -> AtomicFile.write(file, content),
                (name, sum) -> {
                    if (sum != sums.getOrDefault(name, -1L)) {
                        throw new EspalierException(
                                "'"
                                        + name
                                        + "' was changed by another thread while it was saved; "
                                        + file
                                        + " is as it was. Save between two steps, or a copy.");
                    }
                });
    }

    @Override
    public void close() {
        TensorFile.close(file, channel);
    }

    private static EspalierException invalid(Path file, EspalierException fault) {
        return new EspalierException(
                file + " is not a valid safetensors file: " + fault.getMessage() + ".", fault);
    }
}
