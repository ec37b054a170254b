package io.espalier.state;

import io.espalier.state.SafeTensors.Entry;
import io.espalier.tensor.EspalierException;

import tools.jackson.core.type.TypeReference;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/**
 * What a file says of its own bytes: in its metadata, under {@link #KEY}, the CRC-32C of each
 * tensor's data by the tensor's name, and, under the empty name, of all else that the header says.
 */
final class Checksums {
    static final String KEY = "espalier.crc32c";

    private static final String HEADER = "";

    /** One part of a large tensor; a byte buffer can't hold more than 2 GiB. */
    private static final long CHUNK = 1L << 30;

    private final Map<String, String> sums;

    private Checksums(Map<String, String> sums) {
        this.sums = sums;
    }

    /**
     * The metadata with the checksums of a file that is to be written.
     *
     * @param data the CRC-32C of each tensor's data
     */
    static SequencedMap<String, String> addTo(
            Map<String, String> metadata,
            SequencedMap<String, Entry> entries,
            Map<String, Long> data) {
        SequencedMap<String, String> all = new TreeMap<>(metadata);
        all.remove(KEY);
        Map<String, String> sums = new LinkedHashMap<>();
        sums.put(HEADER, hex(header(entries, all)));
        data.forEach((name, sum) -> sums.put(name, hex(sum)));
        all.put(KEY, MetadataJson.write(sums));
        return all;
    }

    /**
     * Takes the checksums out of a header's metadata and compares what they say of the header.
     *
     * @throws EspalierException if the header was changed; the message is the reason alone
     */
    static Checksums takeFrom(
            SequencedMap<String, String> metadata, SequencedMap<String, Entry> entries) {
        String json = metadata.remove(KEY);
        if (json == null) {
            return new Checksums(Map.of());
        }
        Map<String, String> sums;
        try {
            sums = MetadataJson.read(json, new TypeReference<>() {});
        } catch (EspalierException e) {
            throw new EspalierException("its checksums can't be read", e);
        }
        if (!hex(header(entries, metadata)).equals(sums.get(HEADER))) {
            throw new EspalierException("its header is not the one that was saved");
        }
        return new Checksums(sums);
    }

    /** Whether the file says anything of itself. */
    boolean areThere() {
        return !sums.isEmpty();
    }

    /** Whether a tensor's data have the checksum that they were saved with. */
    boolean fits(String name, long sum) {
        return sums.isEmpty() || hex(sum).equals(sums.get(name));
    }

    static long of(MemorySegment data) {
        var sum = new CRC32C();
        for (long at = 0; at < data.byteSize(); at += CHUNK) {
            sum.update(data.asSlice(at, Math.min(CHUNK, data.byteSize() - at)).asByteBuffer());
        }
        return sum.getValue();
    }

    /** Of the names, types and shapes and of the free text, in an order that nothing depends on. */
    private static long header(Map<String, Entry> entries, Map<String, String> metadata) {
        var sum = new CRC32C();
        new TreeMap<>(entries)
                .forEach((name, entry) ->
                        update(sum, name + '\0' + entry.dtype() + '\0' + entry.shape() + '\0'));
        new TreeMap<>(metadata).forEach((name, text) -> update(sum, name + '\0' + text + '\0'));
        return sum.getValue();
    }

    private static void update(CRC32C sum, String text) {
        sum.update(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String hex(long sum) {
        return HexFormat.of().toHexDigits((int) sum);
    }
}
