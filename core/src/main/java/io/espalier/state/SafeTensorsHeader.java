package io.espalier.state;

import io.espalier.state.SafeTensors.Entry;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * The JSON header of a safetensors file: parsed with every number checked against the file's size,
 * and written.
 */
final class SafeTensorsHeader {
    /** The format's own limit. */
    static final int MAX_BYTES = 100_000_000;

    private static final String METADATA = "__metadata__";

    /** libtorch's operators take tensors of up to 64 dimensions. */
    static final int MAX_DIMENSIONS = 64;

    private static final JsonFactory JSON =
            JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    private final SequencedMap<String, Entry> entries = new LinkedHashMap<>();
    private final SequencedMap<String, String> metadata = new LinkedHashMap<>();

    private SafeTensorsHeader() {}

    /**
     * Reads a header.
     *
     * @param json the header's bytes
     * @param dataBytes how many bytes follow it in the file
     * @throws EspalierException if anything is wrong; the message is the reason alone
     */
    static SafeTensors.Header parse(byte[] json, long dataBytes) {
        if (json.length == 0 || json[0] != '{') {
            throw new EspalierException("the header does not start with '{'");
        }
        var header = new SafeTensorsHeader();
        try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), json)) {
            header.read(parser);
        } catch (JacksonException e) {
            throw new EspalierException(
                    "the header is not valid JSON (" + printable(e.getOriginalMessage()) + ")", e);
        }
        header.requireWholeBuffer(dataBytes);
        return new SafeTensors.Header(header.entries, header.metadata);
    }

    private void read(JsonParser parser) {
        expect(parser.nextToken(), JsonToken.START_OBJECT, "the header");
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            if (name.equals(METADATA)) {
                readMetadata(parser);
            } else {
                entries.put(name, readEntry(parser, "tensor '" + printable(name) + "'"));
            }
        }
        if (parser.nextToken() != null) {
            throw new EspalierException("something follows the header's JSON");
        }
    }

    private void readMetadata(JsonParser parser) {
        expect(parser.nextToken(), JsonToken.START_OBJECT, METADATA);
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            expect(parser.nextToken(), JsonToken.VALUE_STRING, METADATA + "'s values");
            metadata.put(name, parser.getString());
        }
    }

    private static Entry readEntry(JsonParser parser, String what) {
        expect(parser.nextToken(), JsonToken.START_OBJECT, what);
        SafeTensorsType type = null;
        List<Long> shape = null;
        List<Long> offsets = null;
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            switch (name) {
                case "dtype" -> {
                    expect(parser.nextToken(), JsonToken.VALUE_STRING, what + "'s dtype");
                    type = typeOf(parser.getString(), what);
                }
                case "shape" -> shape = readNumbers(parser, what + "'s shape");
                case "data_offsets" -> offsets = readNumbers(parser, what + "'s data_offsets");
                default ->
                        throw new EspalierException(
                                what + " has the unknown key '" + printable(name) + "'");
            }
        }
        if (type == null || shape == null || offsets == null || offsets.size() != 2) {
            throw new EspalierException(
                    what + " needs a dtype, a shape and two data_offsets, and lacks one of them");
        }
        long bytes = byteCount(type, shape, what);
        long begin = offsets.getFirst();
        long end = offsets.getLast();
        if (end < begin || end - begin != bytes) {
            throw new EspalierException(
                    what
                            + " of "
                            + type
                            + " "
                            + shape
                            + " takes "
                            + bytes
                            + " bytes, but its data_offsets are "
                            + offsets);
        }
        return new Entry(type.name(), List.copyOf(shape), begin, end);
    }

    private static SafeTensorsType typeOf(String name, String what) {
        try {
            return SafeTensorsType.of(printable(name));
        } catch (EspalierException e) {
            throw new EspalierException(what + " " + e.getMessage(), e);
        }
    }

    private static List<Long> readNumbers(JsonParser parser, String what) {
        expect(parser.nextToken(), JsonToken.START_ARRAY, what);
        List<Long> numbers = new ArrayList<>();
        for (JsonToken token = parser.nextToken();
                token != JsonToken.END_ARRAY;
                token = parser.nextToken()) {
            expect(token, JsonToken.VALUE_NUMBER_INT, what);
            long number = parser.getLongValue();
            if (number < 0 || numbers.size() == MAX_DIMENSIONS) {
                throw new EspalierException(
                        what
                                + (number < 0
                                        ? " has the negative number " + number
                                        : " has more than " + MAX_DIMENSIONS + " numbers"));
            }
            numbers.add(number);
        }
        return numbers;
    }

    private static void expect(@Nullable JsonToken token, JsonToken expected, String what) {
        if (token != expected) {
            String needed =
                    switch (expected) {
                        case START_OBJECT -> "a JSON object";
                        case START_ARRAY, VALUE_NUMBER_INT -> "a list of whole numbers";
                        default -> "a string";
                    };
            throw new EspalierException(what + " must be " + needed);
        }
    }

    private static long byteCount(SafeTensorsType type, List<Long> shape, String what) {
        try {
            // The strides of an empty tensor are those of one with 1 in the place of 0.
            long bytes =
                    shape.stream()
                            .filter(size -> size > 0)
                            .reduce((long) type.bytes(), Math::multiplyExact);
            return shape.contains(0L) ? 0 : bytes;
        } catch (ArithmeticException e) {
            throw new EspalierException(
                    what + " has the shape " + shape + ", which is larger than any memory", e);
        }
    }

    static long[] sizes(List<Long> shape) {
        return shape.stream().mapToLong(Long::longValue).toArray();
    }

    /** The tensors lie one after another and fill the rest of the file. */
    private void requireWholeBuffer(long dataBytes) {
        long at = 0;
        List<Map.Entry<String, Entry>> sorted = new ArrayList<>(entries.entrySet());
        sorted.sort(
                Comparator.comparingLong((Map.Entry<String, Entry> e) -> e.getValue().begin())
                        .thenComparingLong(e -> e.getValue().end()));
        for (Map.Entry<String, Entry> entry : sorted) {
            if (entry.getValue().begin() != at) {
                throw new EspalierException(
                        "tensor '"
                                + printable(entry.getKey())
                                + "' begins at byte "
                                + entry.getValue().begin()
                                + " of the data, but the one before ends at "
                                + at);
            }
            at = entry.getValue().end();
        }
        if (at != dataBytes) {
            throw new EspalierException(
                    "the tensors take " + at + " bytes, but " + dataBytes + " follow the header");
        }
    }

    private static String printable(String text) {
        String line = SafeTensors.printable(text);
        return line.length() <= 80 ? line : line.substring(0, 80) + "…";
    }

    /**
     * Refuses a name that could not be read again.
     *
     * @throws EspalierException if it is the metadata's, or no Unicode text
     */
    static void requireName(String name) {
        if (name.equals(METADATA) || !StandardCharsets.UTF_8.newEncoder().canEncode(name)) {
            throw new EspalierException(
                    "No tensor of a file can be called '"
                            + SafeTensors.printable(name)
                            + "'; "
                            + (name.equals(METADATA)
                                    ? "that name is the file's own."
                                    : "that is no text."));
        }
    }

    /** The header's bytes, filled up with spaces so that the data begin at a multiple of 8. */
    static byte[] render(Map<String, Entry> entries, Map<String, String> metadata) {
        var bytes = new ByteArrayOutputStream();
        try (JsonGenerator json = JSON.createGenerator(ObjectWriteContext.empty(), bytes)) {
            json.writeStartObject();
            if (!metadata.isEmpty()) {
                json.writeName(METADATA).writeStartObject();
                metadata.forEach((name, value) -> json.writeName(name).writeString(value));
                json.writeEndObject();
            }
            entries.forEach((name, entry) -> render(json, name, entry));
            json.writeEndObject();
        }
        while (bytes.size() % 8 != 0) {
            bytes.write(' ');
        }
        return bytes.toByteArray();
    }

    private static void render(JsonGenerator json, String name, Entry entry) {
        long[] shape = sizes(entry.shape());
        json.writeName(name).writeStartObject();
        json.writeName("dtype").writeString(entry.dtype());
        json.writeName("shape").writeArray(shape, 0, shape.length);
        json.writeName("data_offsets").writeArray(new long[] {entry.begin(), entry.end()}, 0, 2);
        json.writeEndObject();
    }
}
