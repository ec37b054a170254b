package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The products with constant matrices that a model's results come from, such as a classifier: only
 * activations and changes of shape follow. In a quantized model they are given something else than
 * in the float one, and can make up for it: their matrices are fitted anew, by least squares, to
 * give what the float model's gave.
 */
public final class OutputLayers implements AutoCloseable {
    /** What may stand between the product and a result. */
    private static final Set<String> AFTER =
            Set.of(
                    "Add",
                    "Flatten",
                    "Identity",
                    "LogSoftmax",
                    "Reshape",
                    "Sigmoid",
                    "Softmax",
                    "Squeeze",
                    "Tanh",
                    "Transpose",
                    "Unsqueeze");

    /** Rows of a batch beyond these are thinned out. */
    private static final long MOST_ROWS = 1 << 10;

    /** Solving for more channels takes longer than it is worth. */
    private static final long MOST_CHANNELS = 2048;

    /** Of so many examples, one tells how far the fit may be trusted. */
    private static final int FOLDS = 4;

    private final List<Map<String, Tensor>> data;
    private final Map<String, Layer> layers = new LinkedHashMap<>();

    private OutputLayers(List<Map<String, Tensor>> data) {
        this.data = data;
    }

    /** A product of the float model, and what it is given there. */
    private record Layer(String input, Tensor weight, Tensor bias, Rows rows) {}

    /**
     * Rows that a product is given.
     *
     * @param x [rows, channels]
     * @param examples of which example each row is
     */
    record Rows(Tensor x, List<Long> examples) {
        Rows {
            examples = List.copyOf(examples);
        }
    }

    /**
     * Finds them in a float model.
     *
     * @param data batches that later fits are made with, which must stay
     */
    public static OutputLayers of(OnnxModel model, List<Map<String, Tensor>> data) {
        var found = new OutputLayers(data);
        OnnxGraph graph = model.graph();
        var sites = new ArrayList<MatMulSite>();
        for (OnnxNode node : producers(graph)) {
            MatMulSite.at(graph, node, MatMulSettings.DEFAULT)
                    .filter(MatMulSite::isQuantizable)
                    .filter(site -> site.rows(graph) <= MOST_CHANNELS)
                    .filter(site -> graph.producer(site.input()) != null)
                    .ifPresent(sites::add);
        }
        if (sites.isEmpty()) {
            return found;
        }
        Map<String, Rows> rows = found.rows(model, inputs(sites));
        for (MatMulSite site : sites) {
            Rows given = rows.get(site.input());
            if (given != null) {
                found.layers.put(site.name(), layer(graph, site, given));
            }
        }
        return found;
    }

    private static Layer layer(OnnxGraph graph, MatMulSite site, Rows given) {
        Tensor weight = Tensors.keep(site.weight(graph));
        float[] bias = site.bias(graph).orElse(new float[(int) weight.size(1)]);
        return new Layer(site.input(), weight, Tensors.keep(Tensors.of(bias, bias.length)), given);
    }

    private static List<String> inputs(List<MatMulSite> sites) {
        return sites.stream().map(MatMulSite::input).distinct().toList();
    }

    /** The nodes behind the results, those aside that come after a product. */
    private static Set<OnnxNode> producers(OnnxGraph graph) {
        var found = new LinkedHashSet<OnnxNode>();
        graph.outputs().forEach(output -> follow(graph, output.getName(), found));
        return found;
    }

    private static void follow(OnnxGraph graph, String value, Set<OnnxNode> found) {
        OnnxNode node = graph.producer(value);
        while (node != null && node.domain().isEmpty() && AFTER.contains(node.op())) {
            String input = node.input(0);
            if (node.is("Add")) {
                int constant = graph.constant(input) == null ? 1 : 0;
                if (graph.constant(node.input(constant)) == null) {
                    return;
                }
                input = node.input(1 - constant);
            }
            node = graph.producer(input);
        }
        if (node != null) {
            found.add(node);
        }
    }

    /** None at all. */
    public static OutputLayers none() {
        return new OutputLayers(List.of());
    }

    /** Whether there are none. */
    public boolean isEmpty() {
        return layers.isEmpty();
    }

    /** The names of their nodes. */
    public Set<String> names() {
        return layers.keySet();
    }

    /** What products are given by a model, thinned out alike for all models. */
    private Map<String, Rows> rows(OnnxModel model, List<String> inputs) {
        var parts = new LinkedHashMap<String, List<Tensor>>();
        var examples = new LinkedHashMap<String, List<Long>>();
        long example = 0;
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model, s -> s.sharingThreads().tapping(inputs))) {
            for (Map<String, Tensor> batch : data) {
                Map<String, Tensor> results = session.run(batch);
                long most = 0;
                for (String input : inputs) {
                    Tensor value = results.get(input);
                    if (value == null || value.dim() < 2) {
                        return Map.of();
                    }
                    long count = value.numel() / value.size(-1);
                    long perExample = count / value.size(0);
                    long[] taken = taken(count);
                    parts.computeIfAbsent(input, i -> new ArrayList<>())
                            .add(
                                    value.reshape(count, value.size(-1))
                                            .index_select(0, Tensors.of(taken, taken.length)));
                    for (long row : taken) {
                        examples.computeIfAbsent(input, i -> new ArrayList<>())
                                .add(example + row / Math.max(1, perExample));
                    }
                    most = Math.max(most, value.size(0));
                }
                example += most;
            }
            var rows = new LinkedHashMap<String, Rows>();
            parts.forEach((input, tensors) ->
                    rows.put(
                            input,
                            new Rows(
                                    Tensors.keep(
                                            torch.cat(
                                                    new org.bytedeco.pytorch.TensorVector(
                                                            tensors.toArray(Tensor[]::new)))),
                                    examples.getOrDefault(input, List.of()))));
            return rows;
        }
    }

    private static long[] taken(long count) {
        long step = Math.ceilDiv(count, MOST_ROWS);
        var taken = new long[Math.toIntExact(Math.ceilDiv(count, step))];
        for (int i = 0; i < taken.length; i++) {
            taken[i] = i * step;
        }
        return taken;
    }

    /**
     * A copy of a quantized model whose output layers are fitted anew, as far as the examples that
     * are kept aside speak for it.
     *
     * @param quantized in which the output layers are still in floats
     */
    public OnnxModel refitted(OnnxModel quantized) {
        OnnxModel copy = quantized.copy();
        OnnxGraph graph = copy.graph();
        var sites = new ArrayList<MatMulSite>();
        for (OnnxNode node : graph.nodes()) {
            Layer layer = layers.get(node.name());
            if (layer != null && node.input(0).equals(layer.input())) {
                MatMulSite.at(graph, node, MatMulSettings.DEFAULT).ifPresent(sites::add);
            }
        }
        if (sites.isEmpty()) {
            return quantized;
        }
        Map<String, Rows> rows = rows(quantized, inputs(sites));
        for (MatMulSite site : sites) {
            Layer layer = layers.get(site.name());
            Rows given = rows.get(site.input());
            if (layer != null && given != null && given.x().numel() == layer.rows().x().numel()) {
                refit(graph, site, layer, given);
            }
        }
        rows.values().forEach(given -> given.x().releaseReference());
        graph.removeUnused();
        return copy;
    }

    private static void refit(OnnxGraph graph, MatMulSite site, Layer layer, Rows given) {
        try (var scope = new PointerScope()) {
            new OutputFit(layer.weight(), layer.rows(), given, FOLDS)
                    .best()
                    .ifPresent(best ->
                            site.set(
                                    graph,
                                    best.weight(),
                                    Tensors.floats(layer.bias().add(best.added()))));
        }
    }

    @Override
    public void close() {
        layers.values()
                .forEach(layer -> {
                    layer.weight().releaseReference();
                    layer.bias().releaseReference();
                    layer.rows().x().releaseReference();
                });
        layers.clear();
    }
}
