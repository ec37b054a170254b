package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Group;
import io.espalier.slim.Place;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * A branch {@code f} of a sum {@code x + f(x)} that may be left out, since {@code x} goes by it and
 * has the shape of the sum, and nothing else reads what is computed in it.
 *
 * @param sum what the sum is called
 * @param branch what {@code f(x)} is called
 * @param nodes that compute it from {@code x} and what else they read, in the graph's order
 * @param constants that only these nodes read
 */
record ResidualBlock(String sum, String branch, List<OnnxNode> nodes, Set<String> constants) {
    /** Copies the lists. */
    ResidualBlock {
        nodes = List.copyOf(nodes);
        constants = Set.copyOf(constants);
    }

    /** The innermost ones of a graph, in its order; never one with all layers of the graph. */
    static List<ResidualBlock> all(Analysis analysis) {
        OnnxGraph graph = analysis.graph();
        List<ResidualBlock> all = new ArrayList<>();
        for (OnnxNode sum : graph.nodes()) {
            for (int place = 0; sum.is("Add") && place < 2; place++) {
                if (goesBy(analysis, sum, place)) {
                    ResidualBlock block = of(graph, sum, sum.input(place));
                    boolean reads =
                            block.nodes().stream()
                                    .anyMatch(node -> node.reads().contains(x(sum, block)));
                    if (reads && hasSomeLayers(graph, block)) {
                        all.add(block);
                    }
                }
            }
        }
        Set<String> sums = new HashSet<>();
        all.forEach(block -> sums.add(block.sum()));
        return all.stream()
                .filter(block -> block.nodes().stream().noneMatch(n -> sums.contains(n.output())))
                .toList();
    }

    /** What goes by a branch. */
    private static String x(OnnxNode sum, ResidualBlock block) {
        return sum.input(0).equals(block.branch()) ? sum.input(1) : sum.input(0);
    }

    /** Whether the other operand of a sum has its shape, and this one is for the sum alone. */
    private static boolean goesBy(Analysis analysis, OnnxNode sum, int place) {
        OnnxGraph graph = analysis.graph();
        String branch = sum.input(place);
        OnnxNode producer = graph.producer(branch);
        long[] extents = analysis.extents(sum.output());
        int dimensions = dimensions(analysis, branch).size();
        return extents != null
                && producer != null
                && producer.outputs().size() == 1
                && !branch.equals(sum.input(1 - place))
                && sum.equals(graph.onlyReader(branch))
                && analysis.elements(branch).isFloating()
                && Arrays.equals(extents, analysis.extents(branch))
                && Arrays.equals(extents, analysis.extents(sum.input(1 - place)))
                && dimensions > 0
                && dimensions < extents.length;
    }

    /** All that is computed for a branch alone. */
    private static ResidualBlock of(OnnxGraph graph, OnnxNode sum, String branch) {
        Set<OnnxNode> within = new HashSet<>();
        List<OnnxNode> nodes = new ArrayList<>();
        for (OnnxNode node : graph.nodes().reversed()) {
            List<String> outputs = node.outputs();
            boolean isAlone =
                    outputs.stream().anyMatch(o -> !graph.readers(o).isEmpty())
                            && outputs.stream()
                                    .allMatch(o ->
                                            !graph.isOutput(o)
                                                    && within.containsAll(graph.readers(o)));
            if (isAlone || node.output().equals(branch)) {
                within.add(node);
                nodes.addFirst(node);
            }
        }
        Set<String> constants = new HashSet<>();
        nodes.forEach(node -> constants.addAll(node.inputs()));
        constants.removeIf(
                name -> graph.constant(name) == null || !within.containsAll(graph.readers(name)));
        return new ResidualBlock(sum.output(), branch, nodes, constants);
    }

    private static boolean hasSomeLayers(OnnxGraph graph, ResidualBlock block) {
        long own = block.layers(graph).size();
        return own > 0 && own < graph.nodes().stream().filter(n -> isLayer(graph, n)).count();
    }

    /** Its nodes that have weights to multiply by. */
    List<OnnxNode> layers(OnnxGraph graph) {
        return nodes.stream().filter(node -> isLayer(graph, node)).toList();
    }

    private static boolean isLayer(OnnxGraph graph, OnnxNode node) {
        return switch (node.op()) {
            case "Conv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm", "LSTM", "GRU", "RNN" ->
                    isWeight(graph, node.input(0)) || isWeight(graph, node.input(1));
            default -> false;
        };
    }

    private static boolean isWeight(OnnxGraph graph, String value) {
        ConstantTensor constant = graph.constant(value);
        return constant != null && constant.shape().size() > 1;
    }

    /** Whether all channels of a group are within it. */
    boolean contains(Group group) {
        return group.units().getFirst().slices().keySet().stream()
                .map(Place::constant)
                .allMatch(constants::contains);
    }

    /** Along which dimensions its values differ by their place. */
    static List<Integer> dimensions(Analysis analysis, String branch) {
        ChannelValue value = analysis.value(branch);
        return value == null
                ? List.of()
                : IntStream.range(0, value.rank())
                        .filter(d -> !value.axes().get(d).isPlain())
                        .boxed()
                        .toList();
    }
}
