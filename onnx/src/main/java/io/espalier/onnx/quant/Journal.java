package io.espalier.onnx.quant;

import io.espalier.state.AtomicFile;
import io.espalier.state.LockedFile;
import io.espalier.state.MetadataJson;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.type.TypeReference;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/**
 * What took long to find, by name, kept in a file from the moment it is found: work that was
 * stopped goes on from there. A file is of one piece of work alone; what was being written when the
 * process ended is left out.
 */
final class Journal implements AutoCloseable {
    private static final String KEY = "espalier-journal";

    /** More than any search writes. */
    private static final long MOST_BYTES = 64L << 20;

    private static final TypeReference<Map<String, String>> HEADER = new TypeReference<>() {};
    private static final TypeReference<Map<String, Object>> ENTRY = new TypeReference<>() {};
    private static final TypeReference<Double> NUMBER = new TypeReference<>() {};
    private static final TypeReference<Map<String, Double>> NUMBERS = new TypeReference<>() {};
    private static final TypeReference<List<String>> NAMES = new TypeReference<>() {};

    /** What a file begins with, of which a process that was killed wrote a part or nothing. */
    private static final String HEAD = "{\"" + KEY + "\":\"";

    private static final Pattern CUT_OFF = Pattern.compile("[0-9a-f]*\"?");

    /** Values as JSON. */
    private final Map<String, String> entries = new LinkedHashMap<>();

    private final @Nullable LockedFile kept;
    private final Path file;
    private final boolean anew;
    private byte[] content = {};
    private String of = "";
    private boolean begunAnew;
    private boolean ready;

    private Journal(@Nullable LockedFile kept, Path file, boolean anew) {
        this.kept = kept;
        this.file = file;
        this.anew = anew;
    }

    /** One that keeps nothing. */
    static Journal none() {
        return new Journal(null, Path.of(""), true);
    }

    /**
     * Where one is.
     *
     * @param anew whether the file of other work is begun anew, and not refused
     */
    record Place(Path file, boolean anew) {}

    /**
     * Takes a file, which need not be there; nobody else has it until this is closed. It says whose
     * it is by {@link #of} before anything is kept in it.
     *
     * @throws EspalierException if the file is none, or another run has it, or can't be written
     */
    static Journal open(Place place) {
        Path file = place.file();
        try {
            requireFile(file);
            LockedFile kept =
                    LockedFile.open(file)
                            .orElseThrow(() ->
                                    new EspalierException(
                                            "Another run keeps its journal in %s; wait until it has ended, or name another file."
                                                    .formatted(file)));
            try {
                var journal = new Journal(kept, file, place.anew());
                journal.content = content(kept.channel());
                journal.read();
                return journal;
            } catch (IOException | RuntimeException e) {
                kept.close();
                throw e;
            }
        } catch (IOException e) {
            throw failed(file, e);
        }
    }

    /**
     * What is kept here is of this work from now on.
     *
     * @throws EspalierException if it is of other work, and may not be begun anew
     */
    void of(String work) {
        if (kept == null) {
            return;
        }
        if (!of.isEmpty() && !of.equals(work)) {
            if (!anew) {
                throw new EspalierException(
                        "The journal %s is of another model, other data or other settings; delete it, name another file, or begin anew (--force)."
                                .formatted(file));
            }
            begunAnew = !entries.isEmpty();
            entries.clear();
        }
        try {
            replace(kept.channel(), content, text(work, entries));
        } catch (IOException e) {
            throw failed(file, e);
        }
        ready = true;
    }

    /** Whether it kept what other work had found, which is gone. */
    boolean isBegunAnew() {
        return begunAnew;
    }

    private static byte[] content(FileChannel channel) throws IOException {
        var content = ByteBuffer.allocate(Math.toIntExact(channel.size()));
        int read = 0;
        while (content.hasRemaining() && read >= 0) {
            read = channel.read(content);
        }
        return Arrays.copyOf(content.array(), content.position());
    }

    /** Writes what is not there yet, behind what is to stay. */
    private static void replace(FileChannel channel, byte[] content, String text)
            throws IOException {
        ByteBuffer wanted = StandardCharsets.UTF_8.encode(text);
        int differs = wanted.mismatch(ByteBuffer.wrap(content));
        int same = differs < 0 ? content.length : differs;
        channel.truncate(same);
        channel.position(same);
        write(channel, wanted.position(same));
    }

    private static void write(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private static EspalierException failed(Path file, IOException e) {
        return new EspalierException(
                "The journal %s can't be used: %s.".formatted(file, AtomicFile.reason(e)), e);
    }

    private static void requireFile(Path file) throws IOException {
        if (Files.exists(file) && (!Files.isRegularFile(file) || Files.size(file) > MOST_BYTES)) {
            throw new EspalierException(
                    "%s is no journal, but %s; name another file, which need not exist."
                            .formatted(
                                    file,
                                    Files.isRegularFile(file)
                                            ? "far too large"
                                            : "a folder, a pipe or a device"));
        }
    }

    private void read() {
        // Bytes that are no text are no journal's either.
        String text = new String(content, StandardCharsets.UTF_8);
        if (isCutOff(text)) {
            return;
        }
        List<String> lines = text.lines().toList();
        try {
            of = MetadataJson.read(lines.getFirst(), HEADER).getOrDefault(KEY, "");
        } catch (EspalierException e) {
            of = "";
        }
        if (of.isEmpty()) {
            throw new EspalierException(
                    "%s is no journal; move it away, or name another file, which need not exist."
                            .formatted(file));
        }
        for (String line : lines.subList(1, lines.size())) {
            try {
                MetadataJson.read(line, ENTRY)
                        .forEach((name, value) -> entries.put(name, MetadataJson.write(value)));
            } catch (EspalierException e) {
                break;
            }
        }
    }

    /** Whether a file ends before it says of what it is. */
    private static boolean isCutOff(String text) {
        return HEAD.startsWith(text)
                || (text.startsWith(HEAD)
                        && CUT_OFF.matcher(text.substring(HEAD.length())).matches());
    }

    private static String text(String work, Map<String, String> entries) {
        var text = new StringBuilder(MetadataJson.write(Map.of(KEY, work))).append('\n');
        entries.forEach((name, value) -> text.append(line(name, value)).append('\n'));
        return text.toString();
    }

    private static String line(String name, String value) {
        return "{" + MetadataJson.write(name) + ":" + value + "}";
    }

    /** Whether nothing was found yet. */
    boolean isEmpty() {
        return entries.isEmpty();
    }

    /** The number of this name, found now unless it was found before. */
    double number(String name, Supplier<Double> finding) {
        return kept(name, NUMBER, finding);
    }

    /** The same of numbers with names of their own. */
    Map<String, Double> numbers(String name, Supplier<Map<String, Double>> finding) {
        return kept(name, NUMBERS, finding);
    }

    /** The same of names. */
    List<String> names(String name, Supplier<List<String>> finding) {
        return kept(name, NAMES, finding);
    }

    private <T> T kept(String name, TypeReference<T> type, Supplier<T> finding) {
        String known = entries.get(name);
        if (known != null) {
            return known(name, known, type);
        }
        T found = finding.get();
        String value = MetadataJson.write(found);
        entries.put(name, value);
        if (kept != null) {
            try {
                write(kept.channel(), StandardCharsets.UTF_8.encode(line(name, value) + "\n"));
            } catch (IOException e) {
                throw failed(file, e);
            }
        }
        return found;
    }

    private <T> T known(String name, String value, TypeReference<T> type) {
        try {
            return MetadataJson.read(value, type);
        } catch (EspalierException e) {
            throw new EspalierException(
                    "The journal %s is damaged at '%s'; delete it.".formatted(file, name), e);
        }
    }

    /** A file in which nothing was found is not left behind. */
    @Override
    public void close() {
        if (kept != null) {
            try (kept) {
                if (entries.isEmpty() && (ready || content.length == 0)) {
                    kept.delete();
                }
            } catch (IOException e) {
                throw failed(file, e);
            }
        }
    }
}
