package io.espalier.onnx.quant;

import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.dataformat.yaml.YAMLMapper;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What each layer of a model becomes, found once and applied again: to the same model trained
 * further, or on another machine. A YAML file that may be edited:
 *
 * <pre>{@code
 * espalier-recipe: 1
 * layers:
 *   conv1: int8
 *   fc: int8 dynamic
 *   stem: int8 stored
 *   head: float
 * }</pre>
 *
 * @param layers names of nodes in the repaired graph, and each one's precision: {@code int8};
 *     {@code int8 dynamic}, which is for matrix products and finds ranges at each call; {@code int8
 *     stored}, computed in floats; or {@code float}
 */
public record Recipe(Map<String, String> layers) {
    static final String INTEGERS = "int8";
    static final String DYNAMIC = "int8 dynamic";
    static final String STORED = "int8 stored";
    static final String FLOAT = "float";
    private static final List<String> PRECISIONS = List.of(INTEGERS, DYNAMIC, STORED, FLOAT);
    private static final int VERSION = 1;

    private static final YAMLMapper MAPPER =
            YAMLMapper.builder()
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                    .build();

    /**
     * Copies the map, in its order.
     *
     * @throws EspalierException if a precision is none of the four
     */
    public Recipe {
        layers = Collections.unmodifiableMap(new LinkedHashMap<>(layers));
        layers.forEach((name, precision) -> {
            if (!PRECISIONS.contains(precision)) {
                throw new EspalierException(
                        "A recipe puts layers into %s; layer '%s' is %s."
                                .formatted(String.join(", ", PRECISIONS), name, precision));
            }
        });
    }

    /**
     * Reads a file.
     *
     * @throws EspalierException if it is not there, or no recipe
     */
    public static Recipe load(Path file) {
        try {
            return of(Files.readString(file, StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new EspalierException(
                    "The recipe %s can't be read: %s.".formatted(file, AtomicFile.reason(e)), e);
        } catch (EspalierException e) {
            throw new EspalierException("%s is no recipe: %s".formatted(file, e.getMessage()), e);
        }
    }

    private static Recipe of(String text) {
        @Nullable Written written;
        try {
            written = MAPPER.readValue(text, Written.class);
        } catch (JacksonException e) {
            throw new EspalierException("it is no YAML with 'espalier-recipe' and 'layers'.", e);
        }
        if (written == null || written.layers() == null) {
            throw new EspalierException("it has no 'layers'.");
        }
        if (written.version() != VERSION) {
            throw new EspalierException(
                    "its version is %d; this is version %d.".formatted(written.version(), VERSION));
        }
        if (written.layers().containsValue(null)) {
            throw new EspalierException("a layer has no precision.");
        }
        return new Recipe(written.layers());
    }

    /** The file's content. */
    private record Written(
            @com.fasterxml.jackson.annotation.JsonProperty("espalier-recipe") int version,
            @Nullable Map<String, String> layers) {}

    /** Writes a file, in one move. */
    public void save(Path file) {
        String text = MAPPER.writeValueAsString(new Written(VERSION, layers));
        AtomicFile.write(file, out -> out.write(StandardCharsets.UTF_8.encode(text)));
    }

    /** The layers of a precision. */
    Set<String> in(String precision) {
        return layers.entrySet().stream()
                .filter(layer -> layer.getValue().equals(precision))
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    /** Refuses names that a model has not. */
    void requireKnown(Collection<String> known) {
        for (String name : layers.keySet()) {
            if (!known.contains(name)) {
                throw new EspalierException(
                        "The recipe names the layer '%s', which the model has not, or which can't be in integers."
                                .formatted(name));
            }
        }
    }
}
