package io.espalier.conformance;

import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The cases of one group: {@code G.json}, with the tensors of {@code G.safetensors} beside it.
 *
 * @param group the group's name
 * @param entries the cases as they are written; each is understood on its own, so that a malformed
 *     one spoils no other
 * @param tensors the tensors by name
 */
record CaseFile(String group, List<Entry> entries, Map<String, Tensor> tensors) {
    /** A case as it is written, under the name by which it is reported. */
    record Entry(String id, JsonNode json) {}

    /** Far above what a group takes, and far below what would exhaust memory. */
    private static final long LARGEST = 64L << 20;

    private static final long LARGEST_TENSORS = 1L << 30;

    private static final JsonMapper JSON =
            JsonMapper.builder(
                            JsonFactory.builder()
                                    .streamReadConstraints(
                                            StreamReadConstraints.builder()
                                                    .maxDocumentLength(LARGEST)
                                                    .maxNestingDepth(32)
                                                    .build())
                                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                                    .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
                                    .build())
                    .build();

    /**
     * Reads a group.
     *
     * @throws EspalierException if a file can't be read, or is not what it should be
     */
    static CaseFile read(Path json) {
        String group = json.getFileName().toString().replaceFirst("\\.json$", "");
        Path stored = json.resolveSibling(group + ".safetensors");
        List<Entry> entries = entries(group, parse(json));
        if (!Files.exists(stored)) {
            return new CaseFile(group, entries, Map.of());
        }
        requireSize(stored, LARGEST_TENSORS);
        return new CaseFile(group, entries, SafeTensors.read(stored).tensors());
    }

    private static void requireSize(Path file, long most) {
        if (file.toFile().length() > most) {
            throw new EspalierException(
                    file + " is larger than " + (most >> 20) + " MB; no group is that large.");
        }
    }

    private static JsonNode parse(Path json) {
        try {
            requireSize(json, LARGEST);
            JsonNode root = JSON.readTree(Files.readString(json));
            if (!root.isContainer()) {
                throw new EspalierException(json + " holds no list of cases.");
            }
            return root;
        } catch (JacksonException e) {
            throw new EspalierException(
                    json
                            + " is not JSON as it should be (line "
                            + (e.getLocation() == null ? 0 : e.getLocation().getLineNr())
                            + "): "
                            + e.getOriginalMessage().lines().findFirst().orElse("")
                            + ".",
                    e);
        } catch (IOException e) {
            throw new EspalierException(
                    json + " can't be read as UTF-8 text: " + e.getMessage(), e);
        }
    }

    /** A list of cases, or one object whose members are the cases. */
    private static List<Entry> entries(String group, JsonNode root) {
        List<Entry> entries = new ArrayList<>();
        if (root.isObject()) {
            root.properties()
                    .forEach(member ->
                            entries.add(
                                    new Entry(group + "/" + member.getKey(), member.getValue())));
        } else {
            for (JsonNode json : root) {
                entries.add(
                        new Entry(
                                json.path("id").asString(group + "[" + entries.size() + "]"),
                                json));
            }
        }
        return entries;
    }

    /**
     * What an entry says.
     *
     * @throws MalformedCase if it lacks what every case has
     */
    Case understand(Entry entry) {
        Values whole = new Values("case", entry.json(), tensors);
        if (!whole.has("op")) {
            return new Case(
                    entry.id(),
                    entry.id().substring(group.length() + 1),
                    Values.none("params"),
                    Values.none("inputs"),
                    new Values("expect", entry.json(), tensors),
                    Optional.empty());
        }
        Values params = part(entry, "params");
        return new Case(
                entry.id(),
                whole.text("op"),
                params,
                part(entry, "inputs"),
                part(entry, "expect"),
                whole.has("expect_error")
                        ? Optional.of(
                                new Fault(
                                        whole.object("expect_error").text("message"),
                                        params.scalars()))
                        : Optional.empty());
    }

    private Values part(Entry entry, String name) {
        return entry.json().has(name)
                ? new Values(name, entry.json().get(name), tensors)
                : Values.none(name);
    }
}
