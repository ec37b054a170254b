package io.espalier.state;

import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.type.TypeReference;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;

/**
 * The JSON header of a compressed file.
 *
 * @param entries how each tensor stands in the file, in the order of the streams
 * @param metadata free text by name
 * @param padding the bytes that follow the last stream and say nothing
 */
record CompressedHeader(
        SequencedMap<String, CompressedEntry> entries,
        SequencedMap<String, String> metadata,
        int padding) {
    /** A file may claim so much memory whatever its size … */
    private static final long FREE_BYTES = 64L << 20;

    /** … and so many bytes more for each of its own. No model in use is that sparse. */
    private static final long EXPANSION = 4096;

    /** An entry as its JSON has it; left out are dense, plain, 0, and stored if all. */
    private record Written(
            String dtype,
            List<Long> shape,
            @Nullable String layout,
            @Nullable String coding,
            @Nullable String of,
            @Nullable Integer stored,
            @Nullable Integer gaps,
            @Nullable Integer table,
            List<Integer> streams) {}

    private record Whole(
            @Nullable LinkedHashMap<String, String> metadata,
            @Nullable Integer padding,
            LinkedHashMap<String, Written> tensors) {}

    /** The bytes of memory that a file of so many bytes may claim for its tensors. */
    static long mayClaim(long fileBytes) {
        return FREE_BYTES + EXPANSION * fileBytes;
    }

    /**
     * Reads a header and checks what it says.
     *
     * @param dataBytes how many bytes follow it in the file
     * @throws EspalierException if anything is wrong; the message is the reason alone
     */
    static CompressedHeader parse(byte[] json, long dataBytes) {
        Whole whole;
        try {
            whole =
                    MetadataJson.read(
                            new String(json, StandardCharsets.UTF_8), new TypeReference<>() {});
        } catch (EspalierException e) {
            throw new EspalierException("its header is no JSON of such a file", e);
        }
        if (whole.tensors() == null) {
            throw new EspalierException("its header names no tensors");
        }
        SequencedMap<String, CompressedEntry> entries = new LinkedHashMap<>();
        whole.tensors()
                .forEach((name, written) -> {
                    try {
                        entries.put(name, entry(written));
                    } catch (EspalierException e) {
                        throw new EspalierException(
                                "tensor '" + SafeTensors.printable(name) + "' " + e.getMessage(),
                                e);
                    }
                });
        var header =
                new CompressedHeader(
                        entries,
                        whole.metadata() == null ? new LinkedHashMap<>() : whole.metadata(),
                        whole.padding() == null ? 0 : whole.padding());
        header.requireWhole(dataBytes);
        return header;
    }

    private static CompressedEntry entry(Written written) {
        if (written.dtype() == null || written.shape() == null || written.streams() == null) {
            throw new EspalierException("needs a dtype, a shape and streams");
        }
        CompressedEntry.requireExtents(written.shape());
        var layout = one(CompressedEntry.Layout.values(), written.layout());
        var coding = one(CompressedEntry.Coding.values(), written.coding());
        var entry =
                new CompressedEntry(
                        SafeTensorsType.of(written.dtype()),
                        written.shape(),
                        layout,
                        coding,
                        written.of(),
                        written.stored() == null && written.of() == null
                                ? all(written.shape())
                                : orZero(written.stored()),
                        orZero(written.gaps()),
                        orZero(written.table()),
                        written.streams());
        entry.require();
        return entry;
    }

    private static int all(List<Long> shape) {
        return (int) shape.stream().reduce(1L, (a, b) -> a * b).longValue();
    }

    private static int orZero(@Nullable Integer number) {
        return number == null ? 0 : number;
    }

    /** The constant of a name; the first where there is none. */
    private static <T extends Enum<T>> T one(T[] values, @Nullable String name) {
        for (T value : values) {
            if (name == null || word(value).equals(name)) {
                return value;
            }
        }
        throw new EspalierException("is '" + SafeTensors.printable(String.valueOf(name)) + "'");
    }

    private static String word(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    private void requireWhole(long dataBytes) {
        long streams = padding;
        long claimed = 0;
        for (var each : entries.entrySet()) {
            streams += each.getValue().bytes();
            claimed += each.getValue().denseBytes();
            requireSource(each.getKey(), each.getValue());
        }
        if (padding < 0 || streams != dataBytes) {
            throw new EspalierException(
                    "its tensors take %d bytes, but %d follow the header"
                            .formatted(streams, dataBytes));
        }
        if (claimed < 0 || claimed > mayClaim(dataBytes)) {
            throw new EspalierException(
                    "it claims %d bytes of tensors from %d bytes, which no such file does"
                            .formatted(claimed, dataBytes));
        }
    }

    /** What a tensor follows from has its shape, and does not follow from it in turn. */
    private void requireSource(String name, CompressedEntry entry) {
        if (entry.of() == null) {
            return;
        }
        CompressedEntry source = entries.get(entry.of());
        boolean right =
                source != null
                        && source.shape().equals(entry.shape())
                        && source.coding() != CompressedEntry.Coding.NONZERO
                        && (entry.coding() == CompressedEntry.Coding.NONZERO
                                || (source.coding() != CompressedEntry.Coding.LOOKUP
                                        && source.type() == SafeTensorsType.U8));
        if (!right) {
            throw new EspalierException(
                    "tensor '"
                            + SafeTensors.printable(name)
                            + "' can't follow from '"
                            + SafeTensors.printable(entry.of())
                            + "'");
        }
    }

    /** The header's bytes. */
    byte[] render() {
        var whole = new LinkedHashMap<String, Object>();
        if (!metadata.isEmpty()) {
            whole.put("metadata", metadata);
        }
        if (padding > 0) {
            whole.put("padding", padding);
        }
        var tensors = new LinkedHashMap<String, Object>();
        entries.forEach((name, entry) -> tensors.put(name, render(entry)));
        whole.put("tensors", tensors);
        return MetadataJson.write(whole).getBytes(StandardCharsets.UTF_8);
    }

    private static Map<String, Object> render(CompressedEntry entry) {
        var written = new LinkedHashMap<String, Object>();
        written.put("dtype", entry.type().name());
        written.put("shape", entry.shape());
        if (entry.layout() != CompressedEntry.Layout.DENSE) {
            written.put("layout", word(entry.layout()));
            written.put("stored", entry.stored());
            written.put("gaps", entry.gaps());
        }
        if (entry.coding() != CompressedEntry.Coding.PLAIN) {
            written.put("coding", word(entry.coding()));
        }
        if (entry.of() != null) {
            written.put("of", entry.of());
        }
        if (entry.table() > 0) {
            written.put("table", entry.table());
        }
        written.put("streams", entry.streams());
        return written;
    }
}
