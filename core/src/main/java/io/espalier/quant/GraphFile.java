package io.espalier.quant;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.quant.layer.SavedLayers;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/** A converted graph as one file: a {@link QuantizedFile} that holds the program too. */
final class GraphFile {
    private static final String GRAPH = "espalier.graph";

    private GraphFile() {}

    static boolean isGraph(SafeTensors.Contents contents) {
        return contents.metadata().containsKey(GRAPH);
    }

    static void save(GraphModule model, Path file) {
        Map<String, String> metadata = new LinkedHashMap<>(QuantizedFile.metadata(model));
        metadata.put(GRAPH, model.graph().toJson());
        SafeTensors.write(file, model.stateDict(), metadata);
    }

    static GraphModule load(Path file, Optional<Module> model) {
        SafeTensors.Contents contents = SafeTensors.read(file);
        if (!isGraph(contents)) {
            throw new EspalierException(
                    file
                            + " holds no quantized graph; read a converted model with"
                            + " Quantization.load(model, file).");
        }
        var layers = QuantizedFile.layers(file, contents.metadata());
        Graph graph = graph(file, contents.metadata());
        SequencedMap<String, Module> modules = new LinkedHashMap<>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            for (String path : graph.modulePaths()) {
                Map<String, String> description = layers.getOrDefault(path, Map.of());
                boolean chain = "FusedChain".equals(description.get("type"));
                boolean needsFloat = description.isEmpty() || chain;
                Module old = needsFloat ? floatModule(file, path, model) : new Placeholder();
                Map<String, Tensor> tensors = SavedLayers.below(contents.tensors(), path);
                QuantizedFile.addFoldedBiases(
                        old, chain ? SavedLayers.below(tensors, "layer") : tensors);
                modules.put(
                        path,
                        description.isEmpty()
                                ? old
                                : SavedLayers.restore(file, path, old, description, tensors));
            }
            var loaded = new GraphModule(graph, modules);
            loaded.loadStateDict(contents.tensors());
            return loaded;
        }
    }

    /** Stands where the file itself says all. */
    private static final class Placeholder extends Module {}

    private static Graph graph(Path file, Map<String, String> metadata) {
        try {
            return Graph.fromJson(metadata.getOrDefault(GRAPH, ""));
        } catch (EspalierException e) {
            throw new EspalierException(file + ": " + e.getMessage(), e);
        }
    }

    private static Module floatModule(Path file, String path, Optional<Module> model) {
        Module given =
                model.orElseThrow(() ->
                        new EspalierException(
                                file
                                        + " left '"
                                        + path
                                        + "' in float, whose code it does not hold; read it with"
                                        + " Quantization.loadGraph(model, file)."));
        return given.module(GraphFusion.placeOf(path, given.namedModules().keySet())).copy();
    }
}
