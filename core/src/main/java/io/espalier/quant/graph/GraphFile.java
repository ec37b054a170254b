package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Node;
import io.espalier.nn.Module;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.SavedLayers;
import io.espalier.state.MetadataJson;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import tools.jackson.core.type.TypeReference;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.TreeMap;

/** A converted graph in a file of quantized layers, which holds the program too. */
public final class GraphFile {
    private static final String GRAPH = "espalier.graph";
    private static final String FLOATS = "espalier.graph.float";
    private static final String LAYER = ".layer";

    private final Path file;
    private final Map<String, Tensor> tensors;
    private final Map<String, Map<String, String>> layers;
    private final Map<String, Map<String, String>> floats;
    private final Graph graph;
    private final Optional<Module> model;

    private GraphFile(
            Path file,
            Map<String, Tensor> tensors,
            Map<String, Map<String, String>> layers,
            Map<String, Map<String, String>> floats,
            Graph graph,
            Optional<Module> model) {
        this.file = file;
        this.tensors = tensors;
        this.layers = layers;
        this.floats = floats;
        this.graph = graph;
        this.model = model;
    }

    /** Whether a file with this metadata holds a graph. */
    public static boolean isGraph(Map<String, String> metadata) {
        return metadata.containsKey(GRAPH);
    }

    /**
     * The program that a file with this metadata holds, if it does.
     *
     * @throws EspalierException if it is damaged
     */
    public static Optional<Graph> program(Path file, Map<String, String> metadata) {
        return isGraph(metadata) ? Optional.of(graph(file, metadata)) : Optional.empty();
    }

    /** What a file says of a graph, besides its quantized layers. */
    public static Map<String, String> metadata(GraphModule model) {
        Map<String, Map<String, String>> floats = new TreeMap<>();
        model.modules()
                .forEach((path, module) -> {
                    FloatLayers.describe(module).ifPresent(layer -> floats.put(path, layer));
                    if (module instanceof FusedChain chain) {
                        FloatLayers.describe(chain.layer())
                                .ifPresent(layer -> floats.put(path + LAYER, layer));
                    }
                });
        return Map.of(GRAPH, model.graph().toJson(), FLOATS, MetadataJson.write(floats));
    }

    /**
     * The graph that a file holds.
     *
     * @param file where it comes from, for errors
     * @param layers the descriptions of its quantized layers, by path
     * @param model the float architecture, for modules of a user's own that were left in float
     * @throws EspalierException if it can't be read, or needs a model that is not there
     */
    public static GraphModule restore(
            Path file,
            SafeTensors.Contents contents,
            Map<String, Map<String, String>> layers,
            Optional<Module> model) {
        Graph graph = graph(file, contents.metadata());
        var reader =
                new GraphFile(
                        file,
                        contents.tensors(),
                        layers,
                        floats(file, contents.metadata()),
                        graph,
                        model);
        SequencedMap<String, Module> modules = new LinkedHashMap<>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            for (String path : graph.modulePaths()) {
                modules.put(path, reader.module(path));
            }
            return filled(file, new GraphModule(graph, modules), contents.tensors());
        }
    }

    private static GraphModule filled(Path file, GraphModule graph, Map<String, Tensor> tensors) {
        try {
            graph.loadStateDict(tensors);
            return graph;
        } catch (EspalierException e) {
            throw new EspalierException(file + ": " + e.getMessage(), e);
        }
    }

    private Module module(String path) {
        Map<String, String> description = layers.getOrDefault(path, Map.of());
        if (description.isEmpty()) {
            return floatModule(path, path);
        }
        boolean chain = FusedChain.class.getSimpleName().equals(description.get("type"));
        Module old = chain ? floatModule(path + LAYER, path) : new Placeholder();
        return SavedLayers.restore(file, path, old, description, below(path));
    }

    private Map<String, Tensor> below(String path) {
        return path.isEmpty() ? tensors : SavedLayers.below(tensors, path);
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

    private static Map<String, Map<String, String>> floats(
            Path file, Map<String, String> metadata) {
        try {
            return MetadataJson.read(metadata.getOrDefault(FLOATS, "{}"), new TypeReference<>() {});
        } catch (EspalierException e) {
            throw new EspalierException(
                    file + " describes its float layers in a form that can't be read.", e);
        }
    }

    /**
     * One of the library's own layers, tensors that are read alone, or what only a model has.
     *
     * @param path where its tensors are in the file
     * @param place where the graph calls it
     */
    private Module floatModule(String path, String place) {
        Map<String, String> description = floats.get(path);
        if (description != null) {
            return FloatLayers.restore(
                    file + ": the layer at '" + place + "'", description, below(path));
        }
        return tensorsRead(path).orElseGet(() -> ofModel(path, place));
    }

    /** A place whose tensors the graph reads, if it calls nothing there. */
    private Optional<Module> tensorsRead(String path) {
        var holder = new TensorHolder();
        for (Node node : graph.nodes()) {
            switch (node) {
                case Node.StateRead read when read.owner().equals(path) -> {
                    Tensor tensor = below(path).get(read.name());
                    if (tensor == null) {
                        return Optional.empty();
                    }
                    if (!holder.hasBuffer(read.name())) {
                        holder.addBuffer(read.name(), tensor);
                    }
                }
                case Node.ModuleCall call when call.path().equals(path) -> {
                    return Optional.empty();
                }
                default -> {}
            }
        }
        return holder.ownBuffers().isEmpty() ? Optional.empty() : Optional.of(holder);
    }

    /** Holds tensors that a graph reads without calling their module. */
    private static final class TensorHolder extends Module {
        @Override
        protected String typeName() {
            return "Module";
        }
    }

    private Module ofModel(String path, String place) {
        Module given =
                model.orElseThrow(() ->
                        new EspalierException(
                                file
                                        + " left '"
                                        + place
                                        + "' in float, whose code it does not hold; read it with"
                                        + " Quantization.loadGraph(model, file)."));
        Module found =
                given.module(SeparateCalls.placeOf(place, given.namedModules().keySet())).copy();
        SavedLayers.addFoldedBiases(found, below(path).keySet());
        return found;
    }
}
