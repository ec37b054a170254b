package io.espalier.onnx.quant;

import io.espalier.state.AtomicFile;
import io.espalier.state.MetadataJson;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.type.TypeReference;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * Numbers that took long to find, by name, kept in a file from the moment they are found: work that
 * was stopped goes on from there. A file is of one piece of work alone; what was being written when
 * the process ended is left out.
 */
final class Journal implements AutoCloseable {
    private static final String KEY = "espalier-journal";
    private static final TypeReference<Map<String, String>> HEADER = new TypeReference<>() {};
    private static final TypeReference<Map<String, Double>> ENTRY = new TypeReference<>() {};

    private final Map<String, Double> entries;
    private final @Nullable BufferedWriter writer;
    private final String place;

    private Journal(Map<String, Double> entries, @Nullable BufferedWriter writer, String place) {
        this.entries = entries;
        this.writer = writer;
        this.place = place;
    }

    /** One that keeps nothing. */
    static Journal none() {
        return new Journal(new LinkedHashMap<>(), null, "");
    }

    /**
     * Opens a file, or begins it.
     *
     * @param work what the numbers are of: the file of other work is refused
     * @throws EspalierException if the file is none, or of other work, or can't be written
     */
    static Journal at(Path file, String work) {
        try {
            List<String> lines =
                    Files.exists(file)
                            ? Files.readAllLines(file, StandardCharsets.UTF_8)
                            : List.of();
            Map<String, Double> entries =
                    lines.isEmpty() ? new LinkedHashMap<>() : read(lines, work, file);
            AtomicFile.write(
                    file, out -> out.write(StandardCharsets.UTF_8.encode(text(work, entries))));
            BufferedWriter writer =
                    Files.newBufferedWriter(
                            file, StandardCharsets.UTF_8, StandardOpenOption.APPEND);
            return new Journal(entries, writer, file.toString());
        } catch (IOException e) {
            throw failed(file.toString(), e);
        }
    }

    private static EspalierException failed(String place, IOException e) {
        return new EspalierException(
                "The journal %s can't be used: %s.".formatted(place, AtomicFile.reason(e)), e);
    }

    private static Map<String, Double> read(List<String> lines, String work, Path file) {
        String of;
        try {
            of = MetadataJson.read(lines.getFirst(), HEADER).getOrDefault(KEY, "");
        } catch (EspalierException e) {
            of = "";
        }
        if (of.isEmpty()) {
            throw new EspalierException(
                    "%s is no journal; name another file, which need not exist.".formatted(file));
        }
        if (!of.equals(work)) {
            throw new EspalierException(
                    "The journal %s is of another model, other data or other settings; name another file."
                            .formatted(file));
        }
        var entries = new LinkedHashMap<String, Double>();
        for (String line : lines.subList(1, lines.size())) {
            try {
                entries.putAll(MetadataJson.read(line, ENTRY));
            } catch (EspalierException e) {
                break;
            }
        }
        return entries;
    }

    private static String text(String work, Map<String, Double> entries) {
        var text = new StringBuilder(MetadataJson.write(Map.of(KEY, work))).append('\n');
        entries.forEach(
                (name, value) -> text.append(MetadataJson.write(Map.of(name, value))).append('\n'));
        return text.toString();
    }

    /** The number of this name, if it was found before. */
    OptionalDouble find(String name) {
        Double value = entries.get(name);
        return value == null ? OptionalDouble.empty() : OptionalDouble.of(value);
    }

    /** Keeps a number. */
    void put(String name, double value) {
        entries.put(name, value);
        if (writer != null) {
            try {
                writer.write(MetadataJson.write(Map.of(name, value)));
                writer.newLine();
                writer.flush();
            } catch (IOException e) {
                throw failed(place, e);
            }
        }
    }

    @Override
    public void close() {
        if (writer != null) {
            try {
                writer.close();
            } catch (IOException e) {
                throw failed(place, e);
            }
        }
    }
}
