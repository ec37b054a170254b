package io.espalier.quant;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.quant.graph.GraphFile;
import io.espalier.quant.layer.SavedLayers;
import io.espalier.state.MetadataJson;
import io.espalier.state.SafeTensors;
import io.espalier.state.StateFile;
import io.espalier.tensor.EspalierException;

import tools.jackson.core.type.TypeReference;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * A converted model as one file: the tensors by their names, and in the metadata, as JSON, which
 * layer stands at each place that quantization changed.
 */
final class QuantizedFile {
    private static final String LAYERS = "espalier.quantized";
    private static final String VERSION = "espalier.quantized.version";
    private static final String IN_FLOAT = "espalier.quantized.in_float";
    private static final String CURRENT = "1";
    private static final List<String> FLOAT_TYPES = List.of("Identity", "FusedReLU", "FusedChain");

    private QuantizedFile() {}

    static void save(Module model, Path file, Map<String, String> notes) {
        Map<String, String> metadata = new LinkedHashMap<>(metadata(model));
        if (model instanceof GraphModule graph) {
            metadata.putAll(GraphFile.metadata(graph));
        }
        notes.forEach((key, value) -> {
            if (key.equals("format") || key.startsWith("espalier.")) {
                throw new EspalierException(
                        "A note in a file can't be called '" + key + "': that is the file's own.");
            }
            metadata.put(key, value);
        });
        StateFile.write(file, model.stateDict(), metadata);
    }

    /** What a file says besides the tensors. */
    private static Map<String, String> metadata(Module model) {
        Map<String, Map<String, String>> layers = new LinkedHashMap<>();
        model.namedModules()
                .forEach((path, module) -> {
                    Map<String, String> description = SavedLayers.describe(module);
                    if (!description.isEmpty()) {
                        layers.put(path, description);
                    }
                });
        if (layers.values().stream().noneMatch(QuantizedFile::isQuantized)) {
            throw new EspalierException(
                    model.getClass().getSimpleName()
                            + " has no quantized layer; convert it first, or write it with"
                            + " model.save(file).");
        }
        return Map.of(
                "format",
                "pt",
                "espalier.tree",
                model.toString(),
                VERSION,
                CURRENT,
                LAYERS,
                MetadataJson.write(layers),
                IN_FLOAT,
                MetadataJson.write(FloatInside.in(model)));
    }

    private static boolean isQuantized(Map<String, String> description) {
        return FLOAT_TYPES.stream().noneMatch(description::containsValue);
    }

    /** Turns a float model into the file's; after an error the model must not be used. */
    static void load(Module model, Path file) {
        try (var open = StateFile.open(file)) {
            SequencedMap<String, String> metadata = open.header().metadata();
            if (GraphFile.isGraph(metadata)) {
                throw new EspalierException(
                        file + " holds a quantized graph; read it with Quantization.loadGraph.");
            }
            Map<String, Map<String, String>> layers = layers(file, metadata);
            List<String> inFloat = inFloat(file, metadata);
            new QuantizedLoading(model, file, open, layers).run();
            Conversion.finish(model);
            FloatInside.mark(model, inFloat);
        }
    }

    /** The graph in a file, with the float model for what it does not hold. */
    static GraphModule loadGraph(Path file, Optional<Module> model) {
        SafeTensors.Contents contents = SafeTensors.read(file);
        if (!GraphFile.isGraph(contents.metadata())) {
            throw new EspalierException(
                    file
                            + " holds no quantized graph; read a converted model with"
                            + " Quantization.load(model, file).");
        }
        return GraphFile.restore(file, contents, layers(file, contents.metadata()), model);
    }

    /** The descriptions in a file of this version. */
    private static Map<String, Map<String, String>> layers(
            Path file, SequencedMap<String, String> metadata) {
        String json = metadata.get(LAYERS);
        if (json == null) {
            throw new EspalierException(
                    file
                            + " holds no quantized model; read it with model.load(file), or write"
                            + " one with Quantization.save.");
        }
        String version = metadata.getOrDefault(VERSION, "none");
        if (!CURRENT.equals(version)) {
            throw new EspalierException(
                    file
                            + " holds a quantized model of version "
                            + version
                            + "; this library reads version "
                            + CURRENT
                            + ". Convert the model again.");
        }
        return parse(file, json, new TypeReference<Map<String, Map<String, String>>>() {});
    }

    private static List<String> inFloat(Path file, Map<String, String> metadata) {
        String json = metadata.getOrDefault(IN_FLOAT, "[]");
        return parse(file, json, new TypeReference<List<String>>() {});
    }

    private static <T> T parse(Path file, String json, TypeReference<T> type) {
        try {
            return MetadataJson.read(json, type);
        } catch (EspalierException e) {
            throw new EspalierException(
                    file + " describes its quantized layers in a form that can't be read.", e);
        }
    }
}
