package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Group;
import io.espalier.slim.Groups;
import io.espalier.slim.Place;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The width inside the heads of an attention, along which what two layers have to do with each
 * other is a sum of products in each head: queries with keys, or values, averaged by the scores,
 * with the layer that reads them. Between both may stand any matrix and its inverse.
 *
 * @param group its units, each of one place in every head
 * @param first the weight, and maybe bias, along whose dimensions the places of the one lie
 * @param second those of the other
 * @param given what has the places of the first along its last dimension: queries, averaged values
 * @param met the same of the second, if it is computed: keys
 * @param isShifted whether what is the same in all keys makes no difference
 */
record HeadWidth(
        Group group,
        List<Place> first,
        List<Place> second,
        String given,
        Optional<String> met,
        boolean isShifted) {
    /** Weights that have this share of zeros have been pruned. */
    private static final double PRUNED = 0.05;

    /** What a layer made, and the places of its weights that made it. */
    private record Made(String value, List<Place> places) {}

    /** Those of a graph whose groups these are. */
    static List<HeadWidth> all(OnnxGraph graph, Groups groups) {
        List<HeadWidth> all = new ArrayList<>();
        for (OnnxNode node : graph.nodes()) {
            Made right = node.is("MatMul") ? made(graph, node, node.input(1)) : null;
            if (right != null) {
                Made left = made(graph, node, node.input(0));
                (left == null
                                ? ofValues(graph, groups, node, right)
                                : ofScores(graph, groups, node, left, right))
                        .ifPresent(all::add);
            }
        }
        return all;
    }

    private static Optional<HeadWidth> ofScores(
            OnnxGraph graph, Groups groups, OnnxNode product, Made queries, Made keys) {
        return group(groups, queries.places(), keys.places())
                .map(group ->
                        new HeadWidth(
                                group,
                                queries.places(),
                                keys.places(),
                                queries.value(),
                                Optional.of(keys.value()),
                                isNormalized(graph, product)));
    }

    private static Optional<HeadWidth> ofValues(
            OnnxGraph graph, Groups groups, OnnxNode product, Made values) {
        OnnxNode reader = reader(graph, product);
        if (reader == null) {
            return Optional.empty();
        }
        List<Place> read = List.of(new Place(reader.input(1), rows(reader)));
        return group(groups, values.places(), read)
                .map(group ->
                        new HeadWidth(
                                group,
                                values.places(),
                                read,
                                reader.input(0),
                                Optional.empty(),
                                false));
    }

    /** The group whose units have an index of each head in exactly these places. */
    private static Optional<Group> group(Groups groups, List<Place> first, List<Place> second) {
        Set<Place> places = new HashSet<>(first);
        places.addAll(second);
        return groups.all().stream()
                .filter(group -> group.isExact() && group.units().size() > 1)
                .filter(group -> group.units().getFirst().slices().keySet().equals(places))
                .filter(group ->
                        group.units().getFirst().slices().values().stream()
                                        .mapToInt(indices -> indices.length)
                                        .distinct()
                                        .count()
                                == 1)
                .findFirst();
    }

    /** The layer that made a value, from which only places are moved and all is scaled alike. */
    private static @Nullable Made made(OnnxGraph graph, OnnxNode reader, String value) {
        String at = value;
        OnnxNode by = reader;
        for (; ; ) {
            OnnxNode node = graph.producer(at);
            if (node == null || graph.onlyReader(at) != by) {
                return null;
            }
            if (isLayer(graph, node)) {
                return made(graph, node, at, node.is("Gemm") ? node.input(2) : "");
            }
            String passed = passed(graph, node);
            if (passed.isEmpty()) {
                return biased(graph, node, at);
            }
            at = passed;
            by = node;
        }
    }

    private static @Nullable Made biased(OnnxGraph graph, OnnxNode node, String value) {
        int constant = graph.constant(node.input(0)) == null ? 1 : 0;
        OnnxNode layer = node.is("Add") ? graph.producer(node.input(1 - constant)) : null;
        return layer != null
                        && layer.is("MatMul")
                        && isLayer(graph, layer)
                        && graph.onlyReader(layer.output()) == node
                ? made(graph, layer, value, node.input(constant))
                : null;
    }

    private static @Nullable Made made(
            OnnxGraph graph, OnnxNode layer, String value, String biasName) {
        List<Place> places = new ArrayList<>();
        places.add(new Place(layer.input(1), 1 - rows(layer)));
        if (!biasName.isEmpty()) {
            ConstantTensor bias = graph.constant(biasName);
            if (bias == null
                    || !bias.type().isFloating()
                    || bias.shape().size() != 1
                    || graph.readers(biasName).size() != 1) {
                return null;
            }
            places.add(new Place(biasName, 0));
        }
        return new Made(value, places);
    }

    /** The layer that alone reads what a product gives, with its places moved. */
    private static @Nullable OnnxNode reader(OnnxGraph graph, OnnxNode product) {
        String at = product.output();
        for (; ; ) {
            OnnxNode node = graph.onlyReader(at);
            if (node == null || isLayer(graph, node)) {
                return node != null && node.input(0).equals(at) ? node : null;
            }
            if (!passed(graph, node).equals(at)) {
                return null;
            }
            at = node.output();
        }
    }

    /** What a node passes on, moved or scaled; empty if it does anything else. */
    private static String passed(OnnxGraph graph, OnnxNode node) {
        return switch (node.op()) {
            case "Transpose", "Reshape", "Identity" -> node.input(0);
            case "Mul", "Div" ->
                    isNumber(graph, node.input(1))
                            ? node.input(0)
                            : node.is("Mul") && isNumber(graph, node.input(0)) ? node.input(1) : "";
            default -> "";
        };
    }

    private static boolean isNumber(OnnxGraph graph, String name) {
        ConstantTensor constant = graph.constant(name);
        return constant != null && constant.elements() == 1;
    }

    /** Whether a node is a product with a matrix of its own. */
    private static boolean isLayer(OnnxGraph graph, OnnxNode node) {
        if (!node.is("MatMul") && !node.is("Gemm")) {
            return false;
        }
        ConstantTensor weight = graph.constant(node.input(1));
        return weight != null
                && weight.type().isFloating()
                && weight.shape().size() == 2
                && node.integer("transA", 0) == 0
                && graph.onlyReader(node.input(1)) == node
                && !isPruned(weight);
    }

    /** Whether zeros are kept in it, of which nothing would be left in other axes. */
    private static boolean isPruned(ConstantTensor weight) {
        int zeros = 0;
        for (float value : weight.toFloats()) {
            zeros += value == 0 ? 1 : 0;
        }
        return zeros > PRUNED * weight.elements();
    }

    /** The dimension of a layer's weight that meets its inputs. */
    private static int rows(OnnxNode layer) {
        return layer.integer("transB", 0) == 0 ? 0 : 1;
    }

    /** Whether scores go through a softmax, which is the same of scores with more in all. */
    private static boolean isNormalized(OnnxGraph graph, OnnxNode product) {
        OnnxNode node = graph.onlyReader(product.output());
        while (node != null && Set.of("Mul", "Div", "Add", "Where").contains(node.op())) {
            node = graph.onlyReader(node.output());
        }
        return node != null && node.is("Softmax") && node.integer("axis", -1) != 1;
    }
}
