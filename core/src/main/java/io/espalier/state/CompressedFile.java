package io.espalier.state;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.zip.CRC32C;

/**
 * An open compressed file: its start, and the tensors' streams one after another. Everything it
 * says of itself is checked before memory is taken for it; its tensors are decoded one at a time,
 * straight into their place.
 */
@Internal
public final class CompressedFile implements TensorFile {
    private static final int WINDOW = 1 << 20;

    private final Path file;
    private final FileChannel channel;
    private final CompressedHeader header;
    private final SequencedMap<String, Long> places;
    private final long dataStart;
    private final int dataSum;

    private CompressedFile(Path file, FileChannel channel, CompressedStart start) {
        this.file = file;
        this.channel = channel;
        this.header = start.header();
        this.dataStart = start.dataStart();
        this.dataSum = start.dataSum();
        this.places = new LinkedHashMap<>();
        long at = dataStart;
        for (var each : header.entries().entrySet()) {
            places.put(each.getKey(), at);
            at += each.getValue().bytes();
        }
    }

    /**
     * Opens a file and reads its header.
     *
     * @throws EspalierException if it can't be read, is something else, or is damaged
     */
    public static CompressedFile open(Path file) {
        FileChannel channel;
        try {
            channel = FileChannel.open(Needed.of(file, "the file to read"));
        } catch (IOException e) {
            throw TensorFile.unreadable(file, e);
        }
        try {
            return new CompressedFile(file, channel, CompressedStart.read(channel));
        } catch (IOException | RuntimeException e) {
            try (channel) {
                throw e instanceof EspalierException known
                        ? invalid(file, known)
                        : e instanceof IOException io
                                ? TensorFile.unreadable(file, io)
                                : (RuntimeException) e;
            } catch (IOException closing) {
                throw TensorFile.unreadable(file, closing);
            }
        }
    }

    @Override
    public SequencedMap<String, Kind> kinds() {
        SequencedMap<String, Kind> kinds = new LinkedHashMap<>();
        header.entries()
                .forEach((name, entry) ->
                        kinds.put(name, new Kind(entry.type().type(), entry.shape())));
        return kinds;
    }

    @Override
    public SequencedMap<String, String> metadata() {
        return header.metadata();
    }

    @Override
    public long storedBytes(String name) {
        return entry(name).bytes();
    }

    /** What the file says about its tensors, laid out as they would be without compression. */
    SafeTensors.Header header() {
        SequencedMap<String, SafeTensors.Entry> entries = new LinkedHashMap<>();
        long at = 0;
        for (var each : header.entries().entrySet()) {
            CompressedEntry entry = each.getValue();
            long end = at + entry.denseBytes();
            entries.put(
                    each.getKey(),
                    new SafeTensors.Entry(entry.type().name(), entry.shape(), at, end));
            at = end;
        }
        return new SafeTensors.Header(entries, header.metadata());
    }

    long fileBytes() throws IOException {
        return channel.size();
    }

    /** The places where a tensor is zero or, if it has one, its mask. */
    long zeros(String name, Optional<String> mask) {
        try (var scope = new PointerScope()) {
            ElementBits values = bits(name);
            ElementBits flags = mask.map(this::bits).orElse(values);
            long zeros = 0;
            for (int i = 0; i < values.count(); i++) {
                zeros += values.at(i) == 0 || flags.at(i) == 0 ? 1 : 0;
            }
            return zeros;
        }
    }

    private ElementBits bits(String name) {
        CompressedEntry entry = entry(name);
        return new ElementBits(Tensors.segment(tensor(name)), entry.type(), entry.elements());
    }

    /** Compares the checksum of all data, and decodes the tensors named without keeping them. */
    @Override
    public void verify(Collection<String> names) {
        try {
            var sum = new CRC32C();
            for (long at = dataStart; at < channel.size(); at += WINDOW) {
                sum.update(
                        CompressedStart.bytes(
                                channel, at, (int) Math.min(WINDOW, channel.size() - at)));
            }
            if ((int) sum.getValue() != dataSum) {
                throw new EspalierException("its data are not those that were saved");
            }
        } catch (IOException e) {
            throw TensorFile.unreadable(file, e);
        } catch (EspalierException e) {
            throw invalid(file, e);
        }
        for (String name : names) {
            try (var scope = new PointerScope()) {
                tensor(name);
            }
        }
    }

    @Override
    public Tensor tensor(String name) {
        CompressedEntry entry = entry(name);
        Tensor tensor = Tensors.empty(entry.type().type(), SafeTensorsHeader.sizes(entry.shape()));
        decode(name, Tensors.segment(tensor));
        return tensor;
    }

    @Override
    public void copyTo(String name, Tensor target) {
        if (entry(name).type().type() == Tensors.type(target) && target.is_contiguous()) {
            decode(name, Tensors.segment(target));
            return;
        }
        try (var scope = new PointerScope()) {
            target.copy_(tensor(name));
        }
    }

    private void decode(String name, MemorySegment into) {
        try {
            CompressedEntry entry = entry(name);
            decode(name, entry, into);
            entry.type().requireElements(name, into);
        } catch (IOException e) {
            throw TensorFile.unreadable(file, e);
        } catch (EspalierException e) {
            String reason = "tensor '" + SafeTensors.printable(name) + "': " + e.getMessage();
            throw invalid(file, new EspalierException(reason, e));
        }
    }

    private void decode(String name, CompressedEntry entry, MemorySegment into) throws IOException {
        List<byte[]> streams = streams(name, entry);
        if (entry.of() == null) {
            TensorDecoder.decode(entry, streams, into);
            return;
        }
        CompressedEntry source = entry(entry.of());
        try (var scope = new PointerScope()) {
            Tensor other =
                    Tensors.empty(source.type().type(), SafeTensorsHeader.sizes(source.shape()));
            MemorySegment data = Tensors.segment(other);
            decode(entry.of(), source, data);
            if (entry.coding() == CompressedEntry.Coding.LOOKUP) {
                TensorDecoder.lookup(entry, streams.getFirst(), data, into);
            } else {
                var bits = new ElementBits(data, source.type(), source.elements());
                TensorDecoder.nonzero(entry, bits, into);
            }
        }
    }

    private List<byte[]> streams(String name, CompressedEntry entry) throws IOException {
        Long place = places.get(name);
        long at = place == null ? dataStart : place;
        var streams = new ArrayList<byte[]>();
        List<Integer> plain = entry.plain();
        for (int i = 0; i < plain.size(); i++) {
            int stored = entry.streams().get(i);
            streams.add(
                    Zstandard.unpack(
                            CompressedStart.bytes(channel, at, stored).array(), plain.get(i)));
            at += stored;
        }
        return streams;
    }

    CompressedEntry entry(String name) {
        CompressedEntry entry = header.entries().get(name);
        if (entry == null) {
            throw new EspalierException(
                    file + " has no tensor '" + SafeTensors.printable(name) + "'.");
        }
        return entry;
    }

    @Override
    public void close() {
        TensorFile.close(file, channel);
    }

    private static EspalierException invalid(Path file, EspalierException fault) {
        return new EspalierException(
                file + " is not a valid compressed file: " + fault.getMessage() + ".", fault);
    }
}
