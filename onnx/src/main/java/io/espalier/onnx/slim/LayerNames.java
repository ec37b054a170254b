package io.espalier.onnx.slim;

import io.espalier.nn.NamePattern;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Group;
import io.espalier.slim.Groups;
import io.espalier.slim.Place;
import io.espalier.tensor.EspalierException;

import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Which layers channels may be taken from.
 *
 * @param only one of these names has to be that of a layer that makes them, if there are any
 * @param kept none of these may be that of a layer that makes or reads them
 */
record LayerNames(List<NamePattern> only, List<NamePattern> kept) {
    /** All layers. */
    static final LayerNames ALL = new LayerNames(List.of(), List.of());

    /** Copies the lists. */
    LayerNames {
        only = List.copyOf(only);
        kept = List.copyOf(kept);
    }

    /**
     * The patterns as they are in a repaired graph: one that stands for nothing there, but for a
     * node or a weight of the file that became part of another, such as a normalization, is the
     * names of the nodes that give what that node, or those that read that weight, gave.
     */
    static String[] inRepaired(OnnxGraph file, OnnxGraph repaired, String... patterns) {
        List<String> nodes = repaired.nodes().stream().map(OnnxNode::name).toList();
        return Stream.of(patterns)
                .flatMap(text -> {
                    NamePattern pattern = NamePattern.of(text);
                    Stream<String> constants = repaired.constants().keySet().stream();
                    if (Stream.concat(nodes.stream(), constants).anyMatch(pattern::matches)) {
                        return Stream.of(text);
                    }
                    List<String> readers =
                            file.nodes().stream()
                                    .filter(node ->
                                            pattern.matches(node.name())
                                                    || readsConstant(file, node, pattern))
                                    .flatMap(node -> inRepaired(repaired, nodes, node))
                                    .toList();
                    return readers.isEmpty() ? Stream.of(text) : readers.stream();
                })
                .toArray(String[]::new);
    }

    private static Stream<String> inRepaired(
            OnnxGraph repaired, List<String> nodes, OnnxNode node) {
        if (nodes.contains(node.name())) {
            return Stream.of(node.name());
        }
        OnnxNode producer = repaired.producer(node.output());
        return producer == null ? Stream.empty() : Stream.of(producer.name());
    }

    private static boolean readsConstant(OnnxGraph file, OnnxNode node, NamePattern pattern) {
        return node.inputs().stream()
                .anyMatch(input -> pattern.matches(input) && file.constant(input) != null);
    }

    /** Only those, besides the ones named before. */
    LayerNames only(OnnxGraph graph, Analysis analysis, Groups groups, String... patterns) {
        List<NamePattern> more = Stream.of(patterns).map(NamePattern::of).toList();
        for (NamePattern pattern : more) {
            if (groups.all().stream()
                    .noneMatch(group -> isMadeBy(graph, analysis, group, pattern))) {
                throw new EspalierException(
                        "Nothing that can be removed is named '%s'; the groups tell what can."
                                .formatted(pattern.text()));
            }
        }
        return new LayerNames(joined(only, more), kept);
    }

    /** Without those, besides the ones named before. */
    LayerNames keep(OnnxGraph graph, String... patterns) {
        List<NamePattern> more = Stream.of(patterns).map(NamePattern::of).toList();
        for (NamePattern pattern : more) {
            Stream<String> nodes = graph.nodes().stream().map(OnnxNode::name);
            if (Stream.concat(nodes, graph.constants().keySet().stream())
                    .noneMatch(pattern::matches)) {
                throw new EspalierException(
                        "No node or weight is named '%s'.".formatted(pattern.text()));
            }
        }
        return new LayerNames(only, joined(kept, more));
    }

    private static List<NamePattern> joined(List<NamePattern> some, List<NamePattern> more) {
        return Stream.concat(some.stream(), more.stream()).toList();
    }

    /** Whether units of a group may be taken. */
    boolean allow(OnnxGraph graph, Analysis analysis, Group group) {
        return (only.isEmpty()
                        || only.stream()
                                .anyMatch(pattern -> isMadeBy(graph, analysis, group, pattern)))
                && kept.stream().noneMatch(pattern -> isOf(graph, places(group), pattern));
    }

    /** Whether a block may go: all its layers may lose channels. */
    boolean allow(OnnxGraph graph, ResidualBlock block) {
        return block.layers(graph).stream()
                        .allMatch(layer ->
                                only.isEmpty() || only.stream().anyMatch(p -> isNamed(layer, p)))
                && block.nodes().stream()
                        .allMatch(node -> kept.stream().noneMatch(p -> isNamed(node, p)));
    }

    private static boolean isNamed(OnnxNode node, NamePattern pattern) {
        return pattern.matches(node.name()) || node.inputs().stream().anyMatch(pattern::matches);
    }

    /** Whether a layer of such a name makes the channels of a group. */
    private static boolean isMadeBy(
            OnnxGraph graph, Analysis analysis, Group group, NamePattern pattern) {
        Set<Place> read = analysis.places();
        return isOf(graph, places(group).filter(place -> !read.contains(place)), pattern);
    }

    private static Stream<Place> places(Group group) {
        return group.units().getFirst().slices().keySet().stream();
    }

    private static boolean isOf(OnnxGraph graph, Stream<Place> places, NamePattern pattern) {
        return places.map(Place::constant)
                .anyMatch(name ->
                        pattern.matches(name)
                                || graph.readers(name).stream()
                                        .anyMatch(node -> pattern.matches(node.name())));
    }
}
