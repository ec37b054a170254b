package io.espalier.quant.graph;

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

/** A converted graph in a file of quantized layers, which holds the program too. */
public final class GraphFile {
    private static final String GRAPH = "espalier.graph";

    private GraphFile() {}

    /** Whether a file with this metadata holds a graph. */
    public static boolean isGraph(Map<String, String> metadata) {
        return metadata.containsKey(GRAPH);
    }

    /** What a file says of a graph, besides its layers. */
    public static Map<String, String> metadata(GraphModule model) {
        return Map.of(GRAPH, model.graph().toJson());
    }

    /**
     * The graph that a file holds.
     *
     * @param file where it comes from, for errors
     * @param layers the descriptions of its layers, by path
     * @param model the float architecture, for the layers that were left in float
     * @throws EspalierException if it can't be read, or needs a model that is not there
     */
    public static GraphModule restore(
            Path file,
            SafeTensors.Contents contents,
            Map<String, Map<String, String>> layers,
            Optional<Module> model) {
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
                SavedLayers.addFoldedBiases(
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
        return given.module(ChainFusion.placeOf(path, given.namedModules().keySet())).copy();
    }
}
