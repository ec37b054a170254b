package io.espalier.onnx.quant;

import io.espalier.nn.NamePattern;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** Which layers a model's user wants in floats, by the names of nodes or of weights. */
final class KeptFloat {
    /** Operators that compute with weights. */
    static final Set<String> LAYERS =
            Set.of("Conv", "ConvTranspose", "Gemm", "MatMul", "Gather", "GRU", "LSTM", "RNN");

    /** What a weight passes through until a layer reads it. */
    private static final Set<String> FORMS =
            Set.of(
                    "Cast",
                    "DequantizeLinear",
                    "Flatten",
                    "Identity",
                    "Mul",
                    "Reshape",
                    "Squeeze",
                    "Transpose",
                    "Unsqueeze");

    private final OnnxGraph file;
    private final OnnxGraph repaired;

    private KeptFloat(OnnxModel file, OnnxModel repaired) {
        this.file = file.graph();
        this.repaired = repaired.graph();
    }

    /**
     * The settings with the names of nodes beside the patterns of weights.
     *
     * @param file the model that came in, whose weights have the names that users know
     * @param repaired the model whose nodes are quantized
     * @throws io.espalier.tensor.EspalierException if a pattern stands for nothing
     */
    static QuantizationSettings resolved(
            QuantizationSettings settings, OnnxModel file, OnnxModel repaired) {
        var names = new LinkedHashSet<>(settings.keptFloat());
        var kept = new KeptFloat(file, repaired);
        for (String pattern : settings.keptFloat()) {
            List<String> nodes = kept.nodes(NamePattern.of(pattern));
            if (nodes.isEmpty()) {
                throw QuantizationSettings.unknown(pattern, kept.layers());
            }
            names.addAll(nodes);
        }
        return settings.with(s -> s.keptFloat = List.copyOf(names));
    }

    /** The nodes that a pattern stands for. */
    private List<String> nodes(NamePattern pattern) {
        var byWeight = new LinkedHashSet<String>();
        for (OnnxGraph graph : List.of(file, repaired)) {
            for (OnnxNode node : graph.nodes()) {
                boolean reads =
                        node.reads().stream()
                                .flatMap(value -> weights(graph, value))
                                .anyMatch(pattern::matches);
                if (reads && !FORMS.contains(node.op())) {
                    byWeight.add(node.name());
                }
            }
        }
        var names = new LinkedHashSet<String>();
        inside(repaired.nodes())
                .map(OnnxNode::name)
                .filter(name -> pattern.matches(name) || byWeight.contains(name))
                .forEach(names::add);
        return List.copyOf(names);
    }

    /** The nodes and those of graphs inside them. */
    private static Stream<OnnxNode> inside(List<OnnxNode> nodes) {
        return nodes.stream()
                .flatMap(node ->
                        Stream.concat(
                                Stream.of(node),
                                node.subgraphs().stream()
                                        .flatMap(graph ->
                                                inside(
                                                        graph.getNodeList().stream()
                                                                .map(OnnxNode::of)
                                                                .toList()))));
    }

    /** The names under which a value is a weight; none if it is computed from inputs. */
    private static Stream<String> weights(OnnxGraph graph, String value) {
        List<String> names = new ArrayList<>();
        String at = value;
        while (true) {
            names.add(at);
            if (graph.constant(at) != null) {
                return names.stream();
            }
            OnnxNode producer = graph.producer(at);
            if (producer == null) {
                return Stream.of();
            }
            if (producer.is("Constant")) {
                return names.stream();
            }
            if (!FORMS.contains(producer.op())) {
                return Stream.of();
            }
            at = producer.input(0);
        }
    }

    /** The names of the layers that have weights. */
    private List<String> layers() {
        return repaired.nodes().stream()
                .filter(node ->
                        LAYERS.contains(node.op())
                                && node.reads().stream()
                                        .anyMatch(value -> repaired.constant(value) != null))
                .map(OnnxNode::name)
                .toList();
    }
}
